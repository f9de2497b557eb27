"""Stores in PostgreSQL with pgvector.

::

    schema <namespace>                  "vecstore" by default; beside tables of the application or alone
      vecstore_store                    a store's name, its active generation, a standby one and that one's role
      vecstore_generation               per generation: schema and embedder identity as JSON, calibrated effort
      vecstore_change                   the change list: per generation, ids that a standby must still copy
      vecstore_change_seq               numbers the notes
      vecstore_alembic_version          the catalogue's revision
      vecstore_g_<generation>           the records of one generation, one table each
        id text COLLATE "C"             primary key
        version bigint                  0, or what a fenced write set
        embedding vector | halfvec      NULL in a tombstone, which keeps the version of a removed id, and where a
                                        record of a store with optional vectors has none
        body text, extra json           the text, and undeclared metadata as it was spelled; NULL in a tombstone
        extra_values jsonb              its canonical values, with a GIN index, where the schema is dynamic
        f_<field>                       a typed column and an index for each declared field
        vecstore_h_<generation>_<...>   the HNSW index, where there is one

The first five are under migrations (`migrations`); tables of generations are made and dropped with them, and no
migration touches them. An application may read all of it with its own SQL.

Every statement begins with the guard of its generation (`generation_guard`): it joins the store's row and finds
nothing if the generation has lost its role. A write also takes a shared advisory lock and locks the store's row; a
switch takes the lock exclusively, after which no write of the old generation is under way. While a standby follows,
each write notes its ids in the change list, in the same statement.

A write call's statement is one transaction: it is durable once it returns, as far as the server's
``synchronous_commit`` is. New records in bulk come in through COPY (`bulk_copy`), in one transaction with the guard.
With `VectorStore.using` statements run under a savepoint of the caller's transaction (`caller_transaction`).

Only ``pg_index`` says whether an HNSW index is usable (`indexes`); one is built with CREATE INDEX CONCURRENTLY under
an advisory lock, beside the present one, which is removed afterwards. Searches choose between the graph and exact
comparison within one statement (`search`).

Statements are compiled once for all tables with the same columns (`statement_cache`). `client` runs them, again where
a failure allows it (`retries`), on connections that `connections` keeps at hand. One thread per client ends calls that
exceed their time.
"""
