"""Indexes of pgvector on columns of vectors: what a model declares, and what a database has."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from sqlalchemy import Connection, text
from sqlalchemy.engine import Dialect

from ..errors import InvalidArgument
from ..index_options import HNSW
from ..metric import Metric

LARGEST_VECTOR_INDEX = 2_000
LARGEST_HALFVEC_INDEX = 4_000
LONGEST_NAME = 63
_CLASSES: Mapping[Metric, str] = MappingProxyType({Metric.COSINE: "cosine", Metric.L2: "l2", Metric.IP: "ip"})
"""Of pgvector's operator classes."""
_DEFAULTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"hnsw": {"m": 16, "ef_construction": 64}, "ivfflat": {"lists": 100}}
)
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_HALVED = re.compile(r"\(?\(?\"?(?P<column>.+?)\"?\)?::(?:\"?\w+\"?\.)?halfvec\((?P<dim>\d+)\)\)?")


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """One index.

    Attributes
    ----------
    name : str
    table : str
    column : str
    using : str
        ``"hnsw"`` or ``"ivfflat"``.
    opclass : str
        Such as ``"vector_cosine_ops"``: the distance that it serves.
    options : mapping of str to int
    halfvec : int or None
        The dimension, where the column is indexed in half precision.
    schema : str or None
    """

    name: str
    table: str
    column: str
    using: str
    opclass: str
    options: Mapping[str, int]
    halfvec: int | None = None
    schema: str | None = None

    def __post_init__(self) -> None:
        for word in (self.using, self.opclass, *self.options):
            if not isinstance(word, str) or _WORD.fullmatch(word) is None:
                raise InvalidArgument(f"{word!r} is no name of a kind of index, an operator class or an option.")
        if not all(type(value) is int for value in self.options.values()):
            raise InvalidArgument(f"The options of index {self.name!r} must be whole numbers.")

    def is_like(self, other: VectorIndex) -> bool:
        """Say whether both are the same index, under whatever name."""
        return (self.column, self.using, self.opclass, self.halfvec, self._fill()) == (
            other.column, other.using, other.opclass, other.halfvec, other._fill(),
        )  # fmt: skip

    def fit(self, dim: int) -> VectorIndex | None:
        """Return the same index for vectors of another dimension; None if no index takes so many."""
        if dim > LARGEST_HALFVEC_INDEX:
            return None
        kind = "vector" if dim <= LARGEST_VECTOR_INDEX else "halfvec"
        distance = self.opclass.partition("_")[2]
        return replace(self, opclass=f"{kind}_{distance}", halfvec=None if kind == "vector" else dim)

    def _fill(self) -> dict[str, int]:
        return {**_DEFAULTS.get(self.using, {}), **self.options}

    def make_statement(self, dialect: Dialect, *, concurrently: bool = False) -> str:
        """Return the statement that builds it."""
        quote = dialect.identifier_preparer.quote
        indexed = quote(self.column) if self.halfvec is None else f"({quote(self.column)}::halfvec({self.halfvec}))"
        with_ = ", ".join(f"{name} = {value}" for name, value in self.options.items())
        return (
            f"CREATE INDEX {'CONCURRENTLY ' if concurrently else ''}{quote(self.name)} "
            f"ON {qualify(dialect, self.table, self.schema)} USING {self.using} ({indexed} {self.opclass})"
            f"{f' WITH ({with_})' if with_ else ''}"
        )


@dataclass(frozen=True, slots=True)
class StoredIndex:
    """An index that a database has.

    Attributes
    ----------
    index : VectorIndex
    is_valid : bool
        False for one that was never finished: nothing uses it.
    """

    index: VectorIndex
    is_valid: bool


def name_index(table: str, column: str) -> str:
    """Return the name of the index of a column."""
    return shorten_name(f"ix_{table}_{column}_hnsw")


def shorten_name(name: str, suffix: str = "") -> str:
    """Return a name with a suffix. One that is too long for PostgreSQL ends with a digest of the whole instead."""
    if len(f"{name}{suffix}".encode()) <= LONGEST_NAME:
        return f"{name}{suffix}"
    ending = f"_{hashlib.sha256(name.encode()).hexdigest()[:8]}{suffix}"
    return f"{cut_name(name, LONGEST_NAME - len(ending))}{ending}"


def cut_name(name: str, size: int) -> str:
    """Return as many letters of a name as have so many bytes of UTF-8, by which PostgreSQL counts."""
    return name.encode()[:size].decode(errors="ignore")


def declare_index(table: str, column: str, dim: int, metric: Metric, index: HNSW, schema: str | None) -> VectorIndex:
    """Return the index that a `VectorColumn` asks for.

    Raises
    ------
    InvalidArgument
        No index takes so many dimensions.
    """
    options = {"m": index.m, "ef_construction": index.list_ef_constructions()[0]}
    opclass = f"vector_{_CLASSES[metric]}_ops"
    made = VectorIndex(name_index(table, column), table, column, "hnsw", opclass, options, schema=schema).fit(dim)
    if made is None:
        name = table if schema is None else f"{schema}.{table}"
        raise InvalidArgument(
            f"{name}.{column}: an index of pgvector takes up to {LARGEST_HALFVEC_INDEX:,} dimensions, and the "
            f"embedder makes {dim:,}. Write index=Flat()."
        )
    return made


def read_indexes(connection: Connection, table: str, schema: str | None) -> dict[str, StoredIndex]:
    """Return the indexes of pgvector on whole columns of a table, by name; other engines have none."""
    if connection.dialect.name != "postgresql":
        return {}
    listed = text(
        "SELECT i.relname, m.amname, o.opcname, i.reloptions, x.indisvalid, a.attname, "
        "pg_get_indexdef(x.indexrelid, 1, true) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
        "JOIN pg_am m ON m.oid = i.relam JOIN pg_opclass o ON o.oid = x.indclass[0] "
        "LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0] AND a.attnum > 0 "
        "WHERE x.indrelid = to_regclass(:name) AND m.amname IN ('hnsw', 'ivfflat') AND x.indnatts = 1 "
        "AND x.indpred IS NULL"
    )
    found: dict[str, StoredIndex] = {}
    named = qualify(connection.dialect, table, schema)
    for name, using, opclass, reloptions, is_valid, column, indexed in connection.execute(listed, {"name": named}):
        halved = None if column is not None else _HALVED.fullmatch(indexed)
        if column is None and halved is None:
            continue
        options = {key: int(value) for key, _, value in (each.partition("=") for each in reloptions or ())}
        index = VectorIndex(
            name, table, column if halved is None else halved["column"], using, opclass, options,
            None if halved is None else int(halved["dim"]), schema,
        )  # fmt: skip
        found[name] = StoredIndex(index, is_valid)
    return found


def qualify(dialect: Dialect, name: str, schema: str | None) -> str:
    """Return the quoted name of a table or an index."""
    preparer = dialect.identifier_preparer
    return preparer.quote(name) if schema is None else f"{preparer.quote_schema(schema)}.{preparer.quote(name)}"
