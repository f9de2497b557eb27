"""Revisions of the PostgreSQL catalogue, for Alembic; installed as ``vecstore.migrations``.

`vecstore.migrate` runs them. There is no ``env.py``: Alembic keeps the state of one in module-level proxies, and a
run inside an application's own migration, or in a second thread, would take that away from the first. A revision is
given its ``Operations`` and the namespace instead.

A revision writes its own DDL and imports nothing of vecstore, whose present definitions may be newer than it. After a
release it is never changed.
"""
