"""Columns of vectors in a model's own table: their type on each engine, distances in any statement, and their index."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import DDL, Double, LargeBinary, MetaData, Table, TypeDecorator, bindparam, event, text
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import MappedColumn, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine, UserDefinedType

from ..arguments import check_whole
from ..errors import InvalidArgument, Unsupported, close_matches
from ..index_options import HNSW, Flat, IndexOptions
from ..metric import Metric
from ..rows.vectors import as_matrix
from ..schema import MAX_DIM, Schema
from .vector_indexes import LARGEST_HALFVEC_INDEX, LARGEST_VECTOR_INDEX, VectorIndex, declare_index

INDEX = "vecstore_index"
"""The key of a column's info that holds its index options."""
_ENGINES = "PostgreSQL with pgvector and SQLite have distances; elsewhere use into='store:…'."
Vector = NDArray[np.float32]


class PostgresVector(UserDefinedType[Any]):
    """pgvector's ``vector`` or ``halfvec``, as texts."""

    cache_ok = True

    def __init__(self, dim: int | str | None = None, name: str = "vector") -> None:
        self.dim = None if dim is None else int(dim)
        self.name = name

    def __repr__(self) -> str:
        return f"PostgresVector({self.dim}, {self.name!r})"

    def get_col_spec(self) -> str:  # type: ignore[override]
        """Return the type in DDL."""
        return self.name if self.dim is None else f"{self.name}({self.dim})"


class RowVector(TypeDecorator[Vector]):
    """A float32 vector of a row: ``vector`` on PostgreSQL, a BLOB of little-endian numbers on SQLite.

    Parameters
    ----------
    dim : int, optional
        Without it, `VectorORM` sets the embedder's.
    metric : Metric
        Of the searches and of the index.
    """

    impl = LargeBinary
    cache_ok = True

    class Comparator(TypeDecorator.Comparator[Vector]):
        """Distances to a vector, as expressions of SQL; a smaller one is nearer."""

        def cosine_distance(self, other: ArrayLike) -> CosineDistance:
            """Return 1 − cos."""
            return CosineDistance(self.expr, other)

        def l2_distance(self, other: ArrayLike) -> L2Distance:
            """Return the Euclidean distance."""
            return L2Distance(self.expr, other)

        def ip_distance(self, other: ArrayLike) -> ProductDistance:
            """Return the negative inner product."""
            return ProductDistance(self.expr, other)

    comparator_factory = Comparator

    def __init__(self, dim: int | None = None, metric: Metric | str = Metric.COSINE) -> None:
        super().__init__()
        self.dim = None if dim is None else check_whole("dim", dim, 1, MAX_DIM)
        if not isinstance(metric, str) or metric not in set(Metric):
            raise InvalidArgument(f"Unknown metric {metric!r}.{close_matches(str(metric), Metric)}")
        self.metric = Metric(metric)

    def __repr__(self) -> str:
        return f"RowVector({self.dim}, {self.metric.value!r})"

    @property
    def python_type(self) -> type[Any]:
        """An array."""
        return np.ndarray

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the engine's type."""
        if self.dim is None:
            raise InvalidArgument(
                "A VectorColumn has no dimension yet. Make VectorORM(Base, embedder=…) before tables are created or "
                "vectors are bound, or give VectorColumn(dim=…)."
            )
        if dialect.name == "postgresql":
            return dialect.type_descriptor(PostgresVector(self.dim))
        return dialect.type_descriptor(LargeBinary())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Check a vector, and return it as the engine takes it."""
        if value is None:
            return None
        [row] = as_matrix([value], Schema(dim=self.dim, metric=Metric.L2), ["The vector"])
        if dialect.name == "postgresql":
            return f"[{','.join(map(repr, row.tolist()))}]"
        return row.astype("<f4").tobytes()

    def process_result_value(self, value: Any, dialect: Dialect) -> Vector | None:
        """Return a vector as an array of its own."""
        if value is None:
            return None
        if isinstance(value, str):
            return np.array(value[1:-1].split(","), np.float32)
        if isinstance(value, bytes | memoryview):
            return np.frombuffer(value, "<f4").astype(np.float32)
        return np.asarray(value, np.float32)  # an adapter that the application registered


class VectorDistance(FunctionElement[float]):
    """The distance between a column and a vector."""

    type = Double()
    inherit_cache = True
    operator = ""
    function = ""

    def __init__(self, column: Any, other: Any) -> None:
        super().__init__(column, _bind(column, other))


class CosineDistance(VectorDistance):
    """1 − cos."""

    inherit_cache = True
    name = "cosine_distance"
    operator, function = "<=>", "vecstore_cosine_distance"


class L2Distance(VectorDistance):
    """The Euclidean distance."""

    inherit_cache = True
    name = "l2_distance"
    operator, function = "<->", "vecstore_l2_distance"


class ProductDistance(VectorDistance):
    """The negative inner product."""

    inherit_cache = True
    name = "ip_distance"
    operator, function = "<#>", "vecstore_ip_distance"


DISTANCES: Mapping[Metric, type[VectorDistance]] = MappingProxyType(
    {Metric.COSINE: CosineDistance, Metric.L2: L2Distance, Metric.IP: ProductDistance}
)


def _bind(column: Any, other: Any) -> Any:
    if isinstance(other, ClauseElement) or hasattr(other, "__clause_element__"):
        return other
    return bindparam(None, other, type_=column.type, unique=True)


@compiles(VectorDistance)
def _refuse_distance(element: VectorDistance, compiler: SQLCompiler, **_: Any) -> str:
    raise Unsupported("distances between vectors", compiler.dialect.name, _ENGINES)


@compiles(VectorDistance, "postgresql")
def _compile_operator(element: VectorDistance, compiler: SQLCompiler, **options: Any) -> str:
    left, right = element.clauses
    first, second = compiler.process(left, **options), compiler.process(right, **options)
    dim = getattr(left.type, "dim", None) or 0
    if dim > LARGEST_VECTOR_INDEX and dim <= LARGEST_HALFVEC_INDEX:  # as the index has it
        return f"({first}::halfvec({dim}) {element.operator} {second}::halfvec({dim}))"
    return f"({first} {element.operator} {second}::vector)"


@compiles(VectorDistance, "sqlite")
def _compile_function(element: VectorDistance, compiler: SQLCompiler, **options: Any) -> str:
    left, right = element.clauses
    return f"{element.function}({compiler.process(left, **options)}, {compiler.process(right, **options)})"


def VectorColumn(
    *,
    metric: Metric | str = Metric.COSINE,
    index: IndexOptions | None = None,
    dim: int | None = None,
    deferred: bool = False,
) -> MappedColumn[Any]:
    """Declare a column of vectors, which ``searchable(into=…)`` fills.

    Parameters
    ----------
    metric : {"cosine", "ip", "l2"}
    index : HNSW or Flat, optional
        ``HNSW()`` makes an index of pgvector on PostgreSQL. `Flat`, the default, compares all rows, as SQLite always
        does.
    dim : int, optional
        By default that of the embedder of `VectorORM`.
    deferred : bool
        Load the vector of an object only when it is asked for.

    Raises
    ------
    InvalidArgument
    """
    if index is not None and not isinstance(index, Flat | HNSW):
        raise InvalidArgument(f"index must be Flat() or HNSW(), not {type(index).__name__}.")
    return mapped_column(
        RowVector(dim, metric), nullable=True, default=None, deferred=deferred, info={INDEX: index or Flat()}
    )


def attach_column(metadata: MetaData, table: Table, name: str, dim: int) -> None:
    """Set the dimension of a column, and let ``create_all`` make its index on PostgreSQL, and pgvector.

    Raises
    ------
    InvalidArgument
        The column has another dimension, or one that no index takes.
    """
    column = table.c[name]
    type_ = column.type
    if not isinstance(type_, RowVector):
        raise InvalidArgument(f"{table.fullname}.{name} is no VectorColumn, so no vector can be in it.")
    if type_.dim not in {None, dim}:
        raise InvalidArgument(f"{table.fullname}.{name} has dim={type_.dim}, but the embedder makes {dim} dimensions.")
    type_.dim = dim
    if find_vector_index(table, name) is not None and not event.contains(table, "after_create", _create_index):
        event.listen(table, "after_create", _create_index)
    event.listen(metadata, "before_create", _create_extension)


def find_vector_index(table: Table, name: str) -> VectorIndex | None:
    """Return the index that a column asks for, None where it asks for none."""
    column = table.c[name]
    type_, index = column.type, column.info.get(INDEX)
    if not isinstance(type_, RowVector) or type_.dim is None or not isinstance(index, HNSW):
        return None
    return declare_index(table.name, name, type_.dim, type_.metric, index, table.schema)


def _create_index(target: Table, connection: Connection, **_: Any) -> None:
    """Make the indexes of a new table. They are no `Index` of its metadata, which other engines would get too."""
    if connection.dialect.name == "postgresql":
        for column in target.columns:
            index = find_vector_index(target, column.name)
            if index is not None:
                connection.execute(DDL(index.make_statement(connection.dialect)))  # type: ignore[no-untyped-call]


def _create_extension(target: MetaData, connection: Connection, **_: Any) -> None:
    if connection.dialect.name != "postgresql":
        return
    if isinstance(connection, Connection):
        found = connection.execute(text("SELECT 1 FROM pg_extension WHERE extname = 'vector'")).first()
        if found is not None:
            return
    connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
