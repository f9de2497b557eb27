"""Tables of a PostgreSQL database that another program filled: found and described.

Names of tables and columns are looked up with bound parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, InvalidUrl, MissingExtra, StorageFailed, close_matches
from ..urls import parse_url, read_path

if TYPE_CHECKING:
    from psycopg import Connection

VECTORS: Mapping[str, str] = MappingProxyType(
    {"vector": "float32", "halfvec": "float16", "_float4": "float32", "_float8": "float32"}
)
"""Types of columns that hold vectors, with the dtype of a new store."""
WIRE: Mapping[str, str] = MappingProxyType({"vector": ">f4", "halfvec": ">f2"})
_FIND = """
SELECT c.oid, n.nspname, c.relname, has_table_privilege(c.oid, 'SELECT')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_(toast|temp)'
  AND ((c.relname::text = %(name)s::text AND pg_table_is_visible(c.oid))
       OR n.nspname || '.' || c.relname = %(name)s::text)
ORDER BY pg_table_is_visible(c.oid) DESC
"""
_LIST = """
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
WHERE t.typname IN ('vector', 'halfvec') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0
"""
_COLUMNS = """
SELECT a.attname, t.typname, a.atttypmod, a.attnum
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_UNIQUE = """
SELECT i.indkey[0], i.indisprimary FROM pg_index i
WHERE i.indrelid = %s AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL AND i.indkey[0] > 0
"""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table: its name, the name of its type, the type's modifier, and its number."""

    name: str
    type: str
    modifier: int
    number: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view.

    Attributes
    ----------
    oid : int
    schema, name : str
    columns : mapping of str to TableColumn
    unique : frozenset of str
        Columns whose values are unique.
    key : str, optional
        The column of the primary key, if that is one column.
    """

    oid: int
    schema: str
    name: str
    columns: Mapping[str, TableColumn]
    unique: frozenset[str]
    key: str | None

    def __str__(self) -> str:
        return f"table {self.name!a}"


@contextmanager
def connect(url: str) -> Iterator[Connection[Any]]:
    """Connect for reading; all that is read is of one moment.

    Raises
    ------
    InvalidUrl, MissingExtra, BackendUnavailable
    """
    try:
        import psycopg

        from ..backends.postgres.embedded.server import use_server
        from ..backends.postgres.failures import translate
        from ..backends.postgres.options import make_server_url, parse_options
    except ModuleNotFoundError as error:
        raise MissingExtra((error.name or "psycopg").partition(".")[0], "postgres") from error
    if not isinstance(url, str):
        raise InvalidUrl(f"The source is a URL, such as postgresql://user@host/database, not {type(url).__name__}.")
    parsed = parse_url(url)
    running = None
    if parsed.scheme == "postgresql+embedded":
        running = use_server(_check_directory(read_path(parsed.location, parsed.scheme)))
        address, timeout = running.url, 30.0
    elif parsed.scheme == "postgresql":
        options, libpq = parse_options(parsed.parameters)
        made = make_server_url(parsed.location, libpq)
        address, timeout = made.set(drivername="postgresql").render_as_string(hide_password=False), options.timeout
    else:
        raise InvalidUrl("The source is a PostgreSQL database. Write postgresql://user@host/database.")
    try:
        with psycopg.connect(address, connect_timeout=max(2, round(timeout))) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield connection
    except psycopg.Error as error:
        raise translate(error, connecting=True) from error
    finally:
        if running is not None:
            running.close()


def _check_directory(directory: Path) -> Path:
    """Refuse a directory in which a server would be made."""
    if not directory.is_dir() or not any(directory.iterdir()):
        raise InvalidArgument(f"There is no database in {directory}. Correct the source's URL.")
    return directory


def find_table(connection: Connection[Any], name: str) -> Table | None:
    """Return the table of a name, which may have its schema before it, or None.

    Raises
    ------
    StorageFailed
        The role may not read it.
    """
    found = connection.execute(_FIND, {"name": name}).fetchone()
    if found is None:
        return None
    oid, schema, plain, readable = found
    if not readable:
        raise StorageFailed(
            f"The database role may not read table {plain!a}. Run as its owner: GRANT SELECT ON … TO the role."
        )
    columns = {row[0]: TableColumn(*row) for row in connection.execute(_COLUMNS, (oid,))}
    names = {column.number: column.name for column in columns.values()}
    unique = [(names[number], primary) for number, primary in connection.execute(_UNIQUE, (oid,))]
    key = next((column for column, primary in unique if primary), None)
    return Table(oid, schema, plain, columns, frozenset(column for column, _ in unique), key)


def get_table(connection: Connection[Any], name: str) -> Table:
    """Return the table of a name.

    Raises
    ------
    InvalidArgument
        There is none. The message names those that hold vectors.
    """
    table = find_table(connection, name)
    if table is None:
        known = {row[0] for row in connection.execute(_LIST)}
        raise InvalidArgument(f"The database has no table {name[:60]!a}.{close_matches(name, known)}")
    return table


def get_column(table: Table, name: str, part: str) -> TableColumn:
    """Return a column that was named for a part of records.

    Raises
    ------
    InvalidArgument
    """
    if name not in table.columns:
        raise InvalidArgument(
            f"The {table} has no column {name[:60]!a} for {part}.{close_matches(name, table.columns)}"
        )
    return table.columns[name]


def get_vector_column(table: Table, name: str | None) -> TableColumn:
    """Return the column of the vectors: the one that was named, or the only one.

    Raises
    ------
    InvalidArgument
    """
    if name is not None:
        column = get_column(table, name, "vectors")
        if column.type not in VECTORS:
            raise InvalidArgument(
                f"The column {name!a} of {table} is of type {column.type}, and vectors are taken from "
                f"{', '.join(sorted(WIRE))} and arrays of floats."
            )
        return column
    found = [column for column in table.columns.values() if column.type in WIRE]
    if len(found) != 1:
        what = (
            f"several columns of vectors: {', '.join(each.name for each in found)}" if found else "no column of vectors"
        )
        raise InvalidArgument(f"The {table} has {what}. Name the one to take: vector='…' (--vector-column).")
    return found[0]
