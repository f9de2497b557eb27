"""Alembic for applications with `vecstore.orm`. It takes the extra ``alembic``.

`setup` in the application's ``env.py`` makes ``alembic revision --autogenerate`` and ``alembic check`` know vectors,
their indexes and the triggers that note changed rows, and gives migrations the operations for them. The parts:

* `environment`: what ``setup`` changes in a run of Alembic
* `comparison`: what a database lacks
* `operations`: ``op.create_vector_index()`` and others, online and as SQL
* `rendering`: operations and types as the text of a migration
"""

try:
    import alembic as _alembic  # noqa: F401
except ImportError as _error:
    from ..errors import MissingExtra as _MissingExtra

    raise _MissingExtra("alembic", "alembic") from _error

from .environment import setup

__all__ = ["setup"]
