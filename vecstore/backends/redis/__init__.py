"""Redis with its query engine: a hash for each record, and an index over them.

::

    <namespace>:format                  string: the version of this layout
    <namespace>:names                   hash: a store's name -> its uid
    <namespace>:doomed                  set: dropped generations whose records are still there
    <namespace>:store:<uid>             hash: name, active, standby, role, parked
    <namespace>:gen:<generation>        hash: store, schema, identity, ef, role, epoch, index, kind, noting, seq, …
    <namespace>:rec:<generation>:<id>   hash: one record
    <namespace>:ids:<generation>        sorted set: the ids of the records, in order
    <namespace>:tombs:<generation>      sorted set: the ids of tombstones, in order
    <namespace>:versions:<generation>   hash: the version of each tombstone
    <namespace>:changes:<generation>    sorted set: the change list, ids by their sequence numbers
    <namespace>:lock:<what>:<id>        string: a lease, the token of its holder
    <namespace>:index:<generation>:<n>  an index over ``rec:<generation>:``

**A record** is a hash: ``vector`` holds its bytes, ``text`` and ``extra`` (undeclared metadata as JSON) are present if
the record has them, ``f_<name>`` holds a declared field (`fields`), ``id`` the id as a token, ``version`` the number of
its fence, and ``has`` lists which fields are present, which makes missing fields searchable (`filters`).

**Every change is one script**, so it happens as a whole or not at all (`scripts`). A script about a generation first
checks its role: a call that relied on another role or another index does nothing and is repeated with the new state
(`generation_guard`). A script checks the user's rights before its first change, because Redis undoes nothing.

**Reads take one round trip.** A search is followed by a command that reads the generation's state. If it is still the
one that the search relied on, the answer counts; otherwise the search is repeated (`generation_guard`, `search`). A
filter that takes too many queries is run by a script, in steps, because the server does nothing else meanwhile
(`selection`).

**The index follows the hashes**: Redis updates it with each write. It does not report what it refuses, so each write
counts its own records in it (`writes`). After a restart the server reads the hashes into the index again, and searches
wait until it holds as many as there are records (`client`, `generation_guard`). A new index is built beside the
present one and replaces it in one step (`upkeep`).

**Leases** protect what outlasts a call: a rebuild, the build of an index, a switch. A lease names its holder's
connection, so that the lease of a killed process can be taken at once, and it expires if it is not renewed
(`leases`).

**Durability** is that of the server: its append-only file and its snapshots. ``stats()`` describes it, and
``wait_aof=on`` makes each write wait until it is on disk (`durability`).
"""
