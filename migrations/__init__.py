"""Revisions of the PostgreSQL catalogue, for Alembic; installed as ``vecstore.migrations``.

`vecstore.migrate` runs them. There is no ``env.py``: Alembic keeps its state in module-level proxies, which a run
inside an application's own migration, or in a second thread, would take over. Each revision gets its ``Operations``
and the namespace as arguments instead.

A revision contains its own DDL and imports nothing of vecstore, whose definitions may be newer. After a release it is
never changed.
"""
