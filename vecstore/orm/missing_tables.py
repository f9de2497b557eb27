"""What to do where the application's database lacks the tables of `VectorORM`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, Table, inspect
from sqlalchemy.exc import DBAPIError

from ..errors import MigrationRequired
from .outbox import Outbox


@contextmanager
def explain_missing_tables(place: Engine | Connection, outbox: Outbox, *further: Table) -> Iterator[None]:
    """Let a statement that fails say so if a table of ours is not there. Other failures pass as they are.

    Parameters
    ----------
    place : Engine or Connection
        Where the tables are looked for.
    outbox : Outbox
    *further : Table
        Tables that are needed beside the outbox.

    Raises
    ------
    MigrationRequired
    """
    try:
        yield
    except DBAPIError as error:
        missing = next((table for table in (outbox.rows, *further) if not _has_table(place, table)), None)
        if missing is None:
            raise
        raise MigrationRequired(
            f"The application's database has no table {missing.name}. Once VectorORM() is made, create_all() makes it "
            "with its triggers, or a migration does (vecstore.alembic)."
            + (" Then call backfill(): earlier rows are not noted." if missing is outbox.rows else "")
        ) from error


def _has_table(place: Engine | Connection, table: Table) -> bool:
    """Say whether the table is there; also if nobody can tell, since the failure then has another cause."""
    try:
        return bool(inspect(place).has_table(table.name, schema=table.schema))
    except DBAPIError:
        return True
