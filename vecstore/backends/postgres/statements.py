"""SQL as text and parameters, compiled once by SQLAlchemy for each table and shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, Select, TableValuedAlias, bindparam, column, func, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeEngine

Answer = list[tuple[Any, ...]]
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement for psycopg.

    Attributes
    ----------
    text : str
        With placeholders such as ``%(k)s``.
    constants : mapping
        Parameters that do not change from call to call.
    writes : bool
        Whether its outcome is unknown after a lost connection.
    settings : tuple of str
        Settings that it changes for the rest of a transaction.
    encoded : bytes
        The text, always the same object, by which psycopg finds what it has cached of the query.
    """

    text: str
    constants: Mapping[str, Any]
    writes: bool = False
    settings: tuple[str, ...] = ()
    encoded: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoded", self.text.encode())


def compile_statement(statement: ClauseElement, *, writes: bool = False, settings: tuple[str, ...] = ()) -> Statement:
    """Return a statement as psycopg takes it."""
    found = statement.compile(dialect=_DIALECT)
    constants = {name: value for name, value in (found.params or {}).items() if value is not None}
    return Statement(str(found), MappingProxyType(constants), writes, settings)


def make_parameter(name: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a parameter; its value comes with each call."""
    return bindparam(name, type_=type_)


def enclose_locks(locking: Select[Any]) -> Select[Any]:
    """Return a ``SELECT … FOR UPDATE`` or ``FOR SHARE`` as a subquery, which changes nothing in PostgreSQL.

    Where such a part of a statement reads from more than tables, Citus expects more columns of it than it answers.
    """
    return select(*locking.subquery("locked").c)


def unnest_arrays(
    name: str, columns: Mapping[str, TypeEngine[Any]], arrays: Mapping[str, ColumnElement[Any]]
) -> TableValuedAlias:
    """Return arrays of one length as a table of that name."""
    table = func.unnest(*(arrays[each] for each in columns))
    return table.table_valued(*(column(each, type_) for each, type_ in columns.items())).render_derived(name=name)
