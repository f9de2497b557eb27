"""Collections of langchain-postgres, in both of its layouts.

``PGVector`` keeps all collections in two tables, ``langchain_pg_collection`` and ``langchain_pg_embedding``, as did
langchain-community before. ``PGVectorStore`` has a table for each store, whose columns can have any names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, close_matches
from .imported import Tally
from .postgres_reading import TableReading, read_table
from .postgres_tables import Table, connect, find_table, get_column, get_vector_column
from .source import Contents, ImportSource, Wish

if TYPE_CHECKING:
    from psycopg import Connection

_COLLECTIONS, _EMBEDDINGS = "langchain_pg_collection", "langchain_pg_embedding"
_ASKING = "; langchain-postgres compares by cosine unless it is told otherwise"


@dataclass(frozen=True)
class LangchainPostgres(ImportSource):
    """What ``PGVector`` calls a collection, or ``PGVectorStore`` a table.

    Parameters
    ----------
    place : str
        The URL of the database: ``postgresql://user@host/database``.
    name : str
        The collection or the table, a table also with its schema before it: ``app.documents``.
    id, vector, text, metadata : str, optional
        Columns of a table, where they are not those that langchain-postgres makes by default: ``langchain_id``,
        ``embedding``, ``content`` and ``langchain_metadata``.
    """

    place: str = field(repr=False)
    name: str
    id: str | None = None
    vector: str | None = None
    text: str | None = None
    metadata: str | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.name!a} of langchain-postgres"

    @contextmanager
    def open(self, wish: Wish, tally: Tally) -> Iterator[Contents]:
        """Connect, find out which layout it is, and look at it."""
        with connect(self.place) as connection:
            table, reading = self._find(connection)
            with read_table(connection, table, reading, wish, tally) as contents:
                yield contents

    def _find(self, connection: Connection[Any]) -> tuple[Table, TableReading]:
        known: list[str] = []
        collections, embeddings = find_table(connection, _COLLECTIONS), find_table(connection, _EMBEDDINGS)
        if collections is not None and embeddings is not None:
            known = _list_collections(connection, collections)
            if self.name in known:
                return embeddings, self._choose_collection(embeddings)
        table = find_table(connection, self.name)
        if table is None:
            near = close_matches(self.name, known)
            raise InvalidArgument(f"The database has neither a collection nor a table {self.name[:60]!a}.{near}")
        return table, self._choose_table(table)

    def _choose_collection(self, table: Table) -> TableReading:
        from psycopg import sql

        given = [part for part in ("id", "vector", "text", "metadata") if getattr(self, part) is not None]
        if given:
            raise InvalidArgument(f"{self.title} is a collection, whose columns are known. Leave {given[0]}='…' out.")
        # langchain-community had a uuid, and the user's own id beside it.
        id_ = "id" if "id" in table.columns else sql.SQL("coalesce(custom_id, uuid::text)")
        condition = sql.SQL("collection_id IN (SELECT uuid FROM {} WHERE name = %s)").format(
            sql.Identifier(table.schema, _COLLECTIONS)
        )
        vector = get_column(table, "embedding", "vectors")
        return TableReading(id_, vector, "document", "cmetadata", (), condition, (self.name,), _ASKING)

    def _choose_table(self, table: Table) -> TableReading:
        id_ = get_column(table, self.id or "langchain_id", "ids").name
        text = get_column(table, self.text or "content", "texts").name
        vector = get_vector_column(table, self.vector or ("embedding" if "embedding" in table.columns else None))
        nested = "langchain_metadata" if "langchain_metadata" in table.columns else None
        if self.metadata is not None:
            nested = get_column(table, self.metadata, "metadata").name
        others = [column for column in table.columns.values() if column.name not in {id_, text, vector.name, nested}]
        return TableReading(id_, vector, text, nested, others, asking=_ASKING)


def _list_collections(connection: Connection[Any], table: Table) -> list[str]:
    from psycopg import sql

    query = sql.SQL("SELECT name FROM {} WHERE name IS NOT NULL").format(sql.Identifier(table.schema, table.name))
    return [row[0] for row in connection.execute(query)]
