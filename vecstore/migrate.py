"""The PostgreSQL catalogue under migrations: ``vecstore migrate``, and the same from Python.

>>> from vecstore import migrate
>>> [revision for revision, _ in migrate.history()]
['vs0001', 'vs0002', 'vs0003', 'vs0004']
"""

from .backends.postgres.migrations.migrate import (
    DEFAULT_NAMESPACE,
    check,
    current,
    downgrade,
    history,
    include_object,
    sql,
    upgrade,
)

__all__ = [
    "DEFAULT_NAMESPACE",
    "check",
    "current",
    "downgrade",
    "history",
    "include_object",
    "sql",
    "upgrade",
]
