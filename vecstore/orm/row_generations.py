"""Generations of vectors in rows: which column has the vectors of which embedder, and which of them is searched.

A rebuild fills a second column, the *standby*, beside the *active* one, which becomes the *previous* one by a switch: a
change of one row of our table. No column gets another name before the previous one is dropped, so that whoever still
believes in it finds its vectors, made by its embedder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Insert,
    Integer,
    MetaData,
    ScalarSelect,
    Select,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from ..embedders.base import Embedder
from ..errors import EmbedderMismatch
from .outbox import make_word
from .vector_indexes import qualify, shorten_name

COLUMNS = "vecstore_column"
ACTIVE, STANDBY, PREVIOUS = "active", "standby", "previous"
_SUFFIX = "_next"
_BETWEEN = "\n"


@dataclass(frozen=True, slots=True)
class RowGeneration:
    """One column with vectors of one embedder.

    Attributes
    ----------
    column : str
    embedder : str
        Its identity; see `identify`.
    dim : int
    state : str
    """

    column: str
    embedder: str
    dim: int
    state: str = ACTIVE

    @property
    def mark(self) -> str:
        """What a search compares, to know that it searched the column that it meant."""
        return f"{self.column}{_BETWEEN}{self.embedder}"


class RowGenerations:
    """The table of generations. A declaration without a row in it has one, in its own column, that nobody claimed.

    Parameters
    ----------
    metadata : MetaData
        Gets the table.
    schema : str, optional
    """

    def __init__(self, metadata: MetaData, schema: str | None = None) -> None:
        self.table = make_table(metadata, schema)

    def read(self, connection: Connection, target: str, *, lock: bool = False) -> dict[str, RowGeneration]:
        """Return the generations of a declaration by their states.

        Parameters
        ----------
        connection : Connection
        target : str
        lock : bool
            No switch happens before the end of the transaction.
        """
        wanted = self._select(target)
        if lock:
            wanted = wanted.order_by(self.table.c.name).with_for_update(read=True)
        return _read_states(connection, wanted)

    def hold(self, connection: Connection, target: str) -> dict[str, RowGeneration]:
        """Return the generations of a declaration, of which none goes or gets another name in this transaction.

        A switch may happen, and nobody is waited for: where one of them is about to go, the database refuses.
        """
        wanted = self._select(target).order_by(self.table.c.name)
        return _read_states(connection, wanted.with_for_update(read=True, key_share=True, nowait=True))

    def lock(self, connection: Connection, target: str) -> dict[str, RowGeneration]:
        """Return the generations of a declaration, and keep workers from writing until the end of the transaction."""
        columns = self.table.c
        # SQLite has no locks of rows; the first change makes the transaction the only one that writes.
        connection.execute(update(self.table).where(columns.target == target).values(dim=columns.dim))
        return self.read(connection, target)

    def add(self, connection: Connection, target: str, generation: RowGeneration) -> None:
        """Note a generation, unless there is one in that column."""
        connection.execute(self.make_insert(connection.dialect, target, generation))

    def make_insert(self, dialect: Dialect, target: str, generation: RowGeneration) -> Insert:
        """Return the statement of `add`."""
        values: dict[str, object] = {"target": target, "name": generation.column, "embedder": generation.embedder}
        values |= {"dim": generation.dim, "state": generation.state}
        if dialect.name == "postgresql":
            return postgresql.insert(self.table).values(**values).on_conflict_do_nothing()
        if dialect.name == "sqlite":
            return sqlite.insert(self.table).values(**values).on_conflict_do_nothing()
        return insert(self.table).prefix_with("IGNORE").values(**values)

    def select_mark(self, target: str) -> ScalarSelect[str]:
        """Return the expression of the active generation's mark, for a column of any statement."""
        columns = self.table.c
        mark = columns.name.concat(_BETWEEN).concat(columns.embedder)
        return select(mark).where(columns.target == target, columns.state == ACTIVE).scalar_subquery()

    def _select(self, target: str) -> Select[Any]:
        columns = self.table.c
        return select(columns.name, columns.embedder, columns.dim, columns.state).where(columns.target == target)


def make_table(metadata: MetaData, schema: str | None = None) -> Table:
    """Return the table of generations."""
    return Table(
        COLUMNS,
        metadata,
        Column("target", make_word(150), primary_key=True),
        Column("name", make_word(100), primary_key=True),
        Column("embedder", Text, nullable=False),
        Column("dim", Integer, nullable=False),
        Column("state", Text, nullable=False),
        schema=schema,
    )


def _read_states(connection: Connection, wanted: Select[Any]) -> dict[str, RowGeneration]:
    found = [RowGeneration(*row) for row in connection.execute(wanted)]
    return {each.state: each for each in found}


def check_claim(label: str, implied: RowGeneration, live: Mapping[str, RowGeneration]) -> None:
    """Refuse to claim the declared column for a model whose vectors another column has.

    Raises
    ------
    EmbedderMismatch
    """
    if ACTIVE not in live and any(each.embedder == implied.embedder for each in live.values()):
        raise EmbedderMismatch(
            f"{label}: nobody says of which model the vectors in column {implied.column!a} are; those of "
            f"{implied.embedder!a} are to be in another column. Give VectorORM both models, embedder=(old, new)."
        )


def identify(embedder: Embedder) -> str:
    """Return what tells an embedder from another one, in a line for a person."""
    return f"{embedder.name} ({embedder.dim} dimensions)"


def name_target(target: str, embedder: str) -> str:
    """Return the name in the outbox under which changes wait for the generation of an embedder that is not searched."""
    return f"{target}@{hashlib.blake2b(embedder.encode(), digest_size=8).hexdigest()}"


def name_standby(column: str) -> str:
    """Return the name of the second column."""
    return shorten_name(column, _SUFFIX)


def name_digests(target: str, column: str, declared: str) -> str:
    """Return under which name the digests of a column's texts are kept."""
    return target if column == declared else f"{target}@next"


def plan_column(dialect: Dialect, table: str, schema: str | None, column: str, dim: int) -> str:
    """Return the statement that adds a column of vectors."""
    type_ = f"vector({dim})" if dialect.name == "postgresql" else "BLOB"
    return (
        f"ALTER TABLE {qualify(dialect, table, schema)} ADD COLUMN {dialect.identifier_preparer.quote(column)} {type_}"
    )


def plan_drop(dialect: Dialect, table: str, schema: str | None, column: str) -> str:
    """Return the statement that drops a column."""
    return f"ALTER TABLE {qualify(dialect, table, schema)} DROP COLUMN {dialect.identifier_preparer.quote(column)}"


def plan_renaming(dialect: Dialect, table: str, schema: str | None, column: str, new: str) -> str:
    """Return the statement that gives a column another name."""
    quote = dialect.identifier_preparer.quote
    return f"ALTER TABLE {qualify(dialect, table, schema)} RENAME COLUMN {quote(column)} TO {quote(new)}"
