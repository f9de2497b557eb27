"""pgvector's types as columns, and vectors in PostgreSQL's binary form.

pgvector may be installed in any schema, so its types, functions and operators are always qualified.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import ColumnElement, Table, func
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import UserDefinedType

NAMES: Mapping[str, str] = MappingProxyType({"float32": "vector", "float16": "halfvec"})
"""pgvector's type for each dtype of a schema."""

_WIRE: Mapping[str, str] = MappingProxyType({"vector": ">f4", "halfvec": ">f2"})


_VECTOR_HEADER = struct.Struct(">hh")
_NULL = b"\xff\xff\xff\xff"
"""The length of an element that is NULL."""
_PREPARER = PGDialect_psycopg().identifier_preparer  # type: ignore[no-untyped-call]


def quote_name(name: str) -> str:
    """Return a name, quoted where SQL needs it."""
    return _PREPARER.quote(name)


def quote_table(table: Table) -> str:
    """Return a table's qualified name, quoted where SQL needs it."""
    return _PREPARER.format_table(table)


class VectorType(UserDefinedType[Any]):
    """``vector(dim)`` or ``halfvec(dim)`` in the extension's schema."""

    cache_ok = True

    def __init__(self, name: str, extension: str, dim: int | None = None) -> None:
        self.name = name
        self.extension = extension
        self.dim = dim


@compiles(VectorType)
def _spell_type(type_: VectorType, compiler: object, **_: Any) -> str:
    size = "" if type_.dim is None else f"({type_.dim:d})"
    return f"{quote_name(type_.extension)}.{type_.name}{size}"


@dataclass(frozen=True, slots=True)
class Oids:
    """The OIDs of pgvector's types and their arrays in one database."""

    vector: int
    vector_array: int
    halfvec: int
    halfvec_array: int


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Vectors as one parameter, an array of pgvector's type. psycopg chooses the dumper by the subclass.

    Attributes
    ----------
    matrix : ndarray, shape (n, dim)
    present : ndarray of bool, shape (n,), optional
        False for NULL; None if there is no NULL.
    """

    matrix: NDArray[Any]
    present: NDArray[np.bool_] | None = None


class PackedVector(Packed):
    """Sent as ``vector[]``."""


class PackedHalfvec(Packed):
    """Sent as ``halfvec[]``."""


class PackedQuery(Packed):
    """One vector, sent as ``vector``."""


PACKED: Mapping[str, type[Packed]] = MappingProxyType({"vector": PackedVector, "halfvec": PackedHalfvec})


def register_types(connection: psycopg.Connection[Any], oids: Oids) -> None:
    """Register dumpers for `Packed` on a connection; the classes are ours, so other users of it are not affected."""
    for name, kind in PACKED.items():
        connection.adapters.register_dumper(
            kind, _make_dumper(name, getattr(oids, name), getattr(oids, f"{name}_array"))
        )
    connection.adapters.register_dumper(PackedQuery, _make_query_dumper(oids.vector))


@cache
def _make_dumper(name: str, element: int, array: int) -> type[Dumper]:
    class PackedDumper(Dumper):
        format = Format.BINARY
        oid = array

        def dump(self, obj: Packed) -> bytes:
            return pack_array(obj.matrix, name, element, obj.present)

    return PackedDumper


@cache
def _make_query_dumper(element: int) -> type[Dumper]:
    class QueryDumper(Dumper):
        format = Format.BINARY
        oid = element

        def dump(self, obj: Packed) -> bytes:
            # The layout of an element in `pack_array`, without a structured array, which pays off only for many.
            return _VECTOR_HEADER.pack(obj.matrix.shape[1], 0) + obj.matrix.astype(_WIRE["vector"]).tobytes()

    return QueryDumper


def pack_array(matrix: NDArray[Any], name: str, oid: int, present: NDArray[np.bool_] | None = None) -> bytes:
    """Return an array in PostgreSQL's binary form: a header, then each element with its length.

    The layouts are those of ``array_recv`` (PostgreSQL) and ``vector_recv``, ``halfvec_recv`` (pgvector).
    """
    header = np.array([1, 0 if present is None else 1, oid, len(matrix), 1], ">i4").tobytes()
    elements = pack_elements(matrix, name)
    if present is None:
        return header + elements.tobytes()
    return header + b"".join(split_elements(elements.tobytes(), present))


def split_elements(data: bytes, present: NDArray[np.bool_]) -> list[bytes | memoryview]:
    """Return each of the packed elements, NULL in the place of those that are not present."""
    view, size = memoryview(data), len(data) // max(1, len(present))
    return [
        view[row * size : (row + 1) * size] if has_vector else _NULL for row, has_vector in enumerate(present.tolist())
    ]


def pack_elements(matrix: NDArray[Any], name: str) -> NDArray[np.void]:
    """Return vectors in PostgreSQL's binary form, each with its length before it."""
    rows, dim = matrix.shape
    form = np.dtype([("length", ">i4"), ("dim", ">i2"), ("unused", ">i2"), ("values", _WIRE[name], (dim,))])
    found = np.zeros(rows, form)
    found["length"] = form.itemsize - 4
    found["dim"] = dim
    found["values"] = matrix
    return found


def unpack_matrix(
    sent: Sequence[bytes | None], name: str, dim: int, dtype: str
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the vectors that ``vector_send`` or ``halfvec_send`` gave, shape (n, dim), and which are not NULL.

    A NULL gives zeros. Without any, the mask is None.
    """
    if None in sent:
        present = np.array([each is not None for each in sent], np.bool_)
        vectors = np.zeros((len(sent), dim), dtype)
        vectors[present] = _unpack_elements([each for each in sent if each is not None], name, dim, dtype)
        return vectors, present
    return _unpack_elements([each for each in sent if each is not None], name, dim, dtype), None


def _unpack_elements(sent: Sequence[bytes], name: str, dim: int, dtype: str) -> NDArray[Any]:
    form = np.dtype([("dim", ">i2"), ("unused", ">i2"), ("values", _WIRE[name], (dim,))])
    if not sent:
        return np.empty((0, dim), dtype)
    return np.ascontiguousarray(np.frombuffer(b"".join(sent), form)["values"], dtype=dtype)


def name_function(extension: str) -> Callable[..., Any]:
    """Return a maker of calls of the extension's functions."""
    return lambda name, *arguments: getattr(getattr(func, quoted_name(extension, quote=True)), name)(*arguments)


def name_operator(
    extension: str, symbol: str
) -> Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[Any]]:
    """Return one of the extension's operators, which works with any search_path."""
    spelled = f"OPERATOR({quote_name(extension)}.{symbol})"
    return lambda left, right: left.op(spelled)(right)
