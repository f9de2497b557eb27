"""What one run of Alembic knows of an application's vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Table

from ..orm import VectorORM
from ..orm.captures import Capture
from ..orm.row_generations import name_standby
from ..orm.vector_columns import PostgresVector, RowVector
from ..orm.vector_indexes import name_index

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

OPTION = "vecstore"
"""The key of our settings in the options of a run."""
_PREFIX = "vecstore_"


class Settings:
    """The `VectorORM` objects of an application, as its migrations need them.

    Parameters
    ----------
    vectors : tuple of VectorORM

    Attributes
    ----------
    captures : tuple of Capture
        What the triggers of all declarations should note.
    columns : tuple of DeclaredColumn
        The columns of vectors that declarations fill.
    """

    def __init__(self, vectors: tuple[VectorORM, ...]) -> None:
        self.vectors = vectors
        self.captures: tuple[Capture, ...] = tuple(capture for each in vectors for capture in each.captures)
        self.columns = tuple(column for each in vectors for column in each.columns)

    def judge(self, item: Any, name: str | None, type_: str, *, is_missing: bool) -> bool | None:
        """Say whether autogenerate considers an object that belongs to vecstore; None for all others.

        Parameters
        ----------
        item : SchemaItem
        name : str or None
        type_ : str
        is_missing : bool
            The database has it, and the metadata do not.
        """
        table = item if isinstance(item, Table) else getattr(item, "table", None)
        if not isinstance(table, Table):
            return None
        if table.name.startswith(_PREFIX):
            # Tables of stores in the same database are no part of the application's metadata, and stay.
            return not (is_missing and type_ == "table")
        # SQLite does not say that a column has vectors.
        second = {name_standby(each.newest.column) for each in self.columns if each.table.name == table.name}
        if type_ == "column" and is_missing and name in second:
            return False  # of a change of the model that is under way
        if type_ == "index" and name in list_index_names(table):
            return False  # compared by us
        return None


def list_vector_columns(table: Table) -> list[str]:
    """Return the names of a table's columns of vectors, also where the table was read from a database."""
    return [column.name for column in table.columns if is_vector(column.type)]


def is_vector(type_: TypeEngine[Any]) -> bool:
    """Say whether a type is one for vectors: ours, or that of pgvector's library."""
    return isinstance(type_, RowVector | PostgresVector) or type(type_).__name__ in {"VECTOR", "HALFVEC"}


def list_index_names(table: Table) -> set[str]:
    """Return the names that the indexes of a table's vectors have."""
    return {name_index(table.name, name) for name in list_vector_columns(table)}
