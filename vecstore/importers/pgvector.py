"""An application's own table with a column of pgvector's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import InvalidArgument
from .imported import Tally
from .postgres_reading import TableReading, read_table
from .postgres_tables import Table, connect, get_column, get_table, get_vector_column
from .source import Contents, ImportSource, Wish


@dataclass(frozen=True)
class PgvectorTable(ImportSource):
    """A table, a view or a partitioned table, of which every column becomes a part of the records.

    Parameters
    ----------
    place : str
        The URL of the database: ``postgresql://user@host/database``.
    name : str
        The table, also with its schema before it: ``app.documents``.
    id : str, optional
        The column of the ids; by default the primary key.
    vector : str, optional
        The column of the vectors: ``vector``, ``halfvec`` or an array of floats. By default the only one.
    text : str, optional
        The column of the texts; by default one that is called text.
    metadata : str, optional
        A column of JSON objects, whose keys become keys of metadata; by default one that is called metadata.
        All other columns are keys of metadata themselves.
    skip : tuple of str
        Columns that are left out.
    """

    place: str = field(repr=False)
    name: str
    id: str | None = None
    vector: str | None = None
    text: str | None = None
    metadata: str | None = None
    skip: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"Table {self.name!a}"

    @contextmanager
    def open(self, wish: Wish, tally: Tally) -> Iterator[Contents]:
        """Connect, and look at the table."""
        with connect(self.place) as connection:
            table = get_table(connection, self.name)
            with read_table(connection, table, self._choose(table), wish, tally) as contents:
                yield contents

    def _choose(self, table: Table) -> TableReading:
        vector = get_vector_column(table, self.vector)
        key = self.id or table.key or ("id" if "id" in table.columns else None)
        if key is None:
            raise InvalidArgument(
                f"The {table} has no primary key of one column. Name the column of the ids: id='…' (--id-column)."
            )
        get_column(table, key, "ids")
        text = get_column(table, self.text, "texts").name if self.text else _find(table, "text", {"text", "varchar"})
        nested = _find(table, "metadata", {"json", "jsonb"})
        if self.metadata is not None:
            column = get_column(table, self.metadata, "metadata")
            if column.type not in {"json", "jsonb"}:
                raise InvalidArgument(
                    f"The column {column.name!a} of {table} is of type {column.type} and holds no JSON objects. Leave "
                    "metadata='…' out: a column is a key of metadata anyway."
                )
            nested = column.name
        taken = {key, vector.name, text, nested, *(get_column(table, each, "leaving out").name for each in self.skip)}
        others = [column for column in table.columns.values() if column.name not in taken]
        return TableReading(key, vector, text, nested, others, asking=", for it has no index that would")


def _find(table: Table, name: str, types: set[str]) -> str | None:
    return name if name in table.columns and table.columns[name].type in types else None
