"""Collections of vecs: tables in the PostgreSQL schema ``vecs``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ..errors import InvalidArgument, close_matches
from .imported import Tally
from .payloads import take_texts
from .postgres_reading import TableReading, read_table
from .postgres_tables import connect, find_table, get_column
from .source import Contents, ImportSource, Wish
from .source_rows import SourceRows

_SCHEMA = "vecs"
_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r'"


@dataclass(frozen=True)
class VecsCollection(ImportSource):
    """A collection of vecs.

    Parameters
    ----------
    place : str
        The URL of the database: ``postgresql://user@host/database``.
    name : str
        The collection.
    text : str, optional
        The key of metadata that holds the texts, for which vecs has no place of their own.
    """

    place: str = field(repr=False)
    name: str
    text: str | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"Collection {self.name!a} of vecs"

    @contextmanager
    def open(self, wish: Wish, tally: Tally) -> Iterator[Contents]:
        """Connect, and look at the collection."""
        with connect(self.place) as connection:
            table = find_table(connection, f"{_SCHEMA}.{self.name}")
            if table is None:
                known = {row[0] for row in connection.execute(_TABLES, (_SCHEMA,))}
                raise InvalidArgument(
                    f"The database has no vecs collection {self.name[:60]!a}.{close_matches(self.name, known)}"
                )
            vector = get_column(table, "vec", "vectors")
            asking = "; vecs itself compares by cosine unless it is told otherwise"
            reading = TableReading("id", vector, None, "metadata", asking=asking)
            with read_table(connection, table, reading, wish, tally) as contents:
                yield replace(contents, read=lambda rows: map(self._take_texts, contents.read(rows)))

    def _take_texts(self, piece: SourceRows) -> SourceRows:
        texts, nested = take_texts(piece.nested or (), self.text)
        return replace(piece, texts=texts, nested=nested)
