"""A directory of files: the embedded default.

::

    kb/                     0700; files 0600
      catalog.db            which store has which generations (SQLite)
      catalog.lock          held while that changes
      g/<generation>/
        writer.lock         held during one write call; readers never take it
        rows.db             everything but bulk vectors (SQLite), see `rowform`
        seg/<uid>.vec       bulk vectors, written once, see `segment`
        idx/                derived files

**A commit** is one of SQLite, in a rollback journal with ``synchronous=EXTRA``. Bulk vectors are on the disk,
synced, before the commit that names them (`transaction`, `disk`); a segment that no commit names is
garbage. An error in a commit says nothing about its outcome: the file is asked (`commit`).

**Nothing that was read is believed unproven.** SQLite has no checksums, so every row has one, and a ledger
keeps the count and the sum of them for each table (`ledger`). Ids and fields are read in full once, compared
with it, and then followed from commit to commit in memory (`columns`, `vectors`, `register`); filters and
lookups work there, so that "not stored" is proven too. Vectors are checked block by block when they are
first touched. A mark in the lock file shows that a database is no older copy of itself (`lock`).

**Rows never change.** A record that changes gets a new row under a new number, which says where its vector
lies. So a reader needs no lock and no long transaction: what it knows of a commit stays true, and a row that
vanished meanwhile sends it to the newer one (`answers`).
"""
