"""What to do where the application's database lacks the tables of `VectorORM`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, inspect
from sqlalchemy.exc import DBAPIError

from ..errors import MigrationRequired
from .outbox import Outbox


@contextmanager
def explain_missing_tables(engine: Engine, outbox: Outbox) -> Iterator[None]:
    """Let a statement on the outbox that fails say so if the outbox is not there. Other failures pass as they are.

    Raises
    ------
    MigrationRequired
    """
    try:
        yield
    except DBAPIError as error:
        if _has_outbox(engine, outbox):
            raise
        raise MigrationRequired(
            f"The application's database has no table {outbox.rows.name}. Once VectorORM() is made, create_all() makes "
            "it with its triggers, or a migration does (vecstore.alembic). Then call backfill(): earlier rows are not "
            "noted."
        ) from error


def _has_outbox(engine: Engine, outbox: Outbox) -> bool:
    """Say whether the table is there; also if nobody can tell, since the failure then has another cause."""
    try:
        return inspect(engine).has_table(outbox.rows.name, schema=outbox.rows.schema)
    except DBAPIError:
        return True
