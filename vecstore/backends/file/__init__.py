"""A directory of files: the default backend, with nothing to install beside it.

::

    kb/                     0700; files 0600
      catalog.db            which store has which generations (SQLite): `catalogue`, `storage.catalogue_file`
      catalog.lock          held while the catalogue changes: `storage.lock`
      builder-<store>.lock  held while a store is rebuilt
      g/<generation>/
        writer.lock         held during one write call; readers never take it
        upkeep.lock         held while vectors are compacted, an index is built, or a copy is made
        rows.db             everything but bulk vectors (SQLite): `state.tables`, `state.rows`
        seg/<uid>.vec       bulk vectors, written once: `vectors.segment`
        idx/<uid>.faiss     the index, derived from the vectors: `index.index_file`
        idx/<uid>.rows      copies of its rows, read instead of rows.db: `index.row_copies`
        dropped             marks a generation that the next `create` or `drop` removes

**A commit** is a commit of SQLite, in a rollback journal with ``synchronous=EXTRA``. Bulk vectors are synced to
disk before the commit that names them (`state.transaction`, `storage.os_calls`); a segment that no commit names
is garbage (`state.garbage`). An error during a commit does not say whether the commit happened, so the file is read
again to find out (`state.commit`).

**Everything that is read is checked.** SQLite has no checksums, so every row has one, and a ledger keeps the row
count and the checksum sum of each table (`state.ledger`, `storage.checksums`). Ids and fields are read in full
once, compared with the ledger, and then kept up to date in memory from commit to commit (`state.columns`,
`vectors.vectors`, `state.notes`). Filters and lookups run there, so that "not stored" is proven too. Vectors are
checked block by block when they are first read. A mark in the lock file shows whether a database is an older copy
of itself (`storage.commit_mark`).

**Rows never change.** A changed record gets a new row under a new number (its rid), which also tells where its
vector is. A reader therefore needs no lock and no long transaction: what it knows of a commit stays true, and when
a row is gone it retries with the newest commit (`state.retries`).

**Small batches go to the memtable.** Their vectors are rows of the table ``hot`` in ``rows.db`` and are kept in
memory (`vectors.memtable`) until compaction moves them into a segment (`vectors.compaction`).

The folders: ``storage`` is files, locks and SQLite connections; ``state`` is one generation, its commits, reads and
writes; ``vectors`` is segments, the memtable and compaction; ``index`` is the graph as a file; ``search`` finds the
nearest rows.
"""
