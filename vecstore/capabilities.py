"""What a backend can do: its limits on dimensions, dtypes, metrics and indexes, and the refusals."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import Unsupported
from .index_options import HNSW, MilvusIndex
from .schema import Schema


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do, determined once at connect and checked before an operation's I/O."""

    backend: str
    max_dim: int
    max_hnsw_dim: int
    dtypes: tuple[str, ...] = ("float32", "float16")
    metrics: tuple[str, ...] = ("cosine", "ip", "l2")
    indexes: tuple[str, ...] = ("flat", "hnsw")
    durable: bool = True
    """Acknowledged writes survive the end of the process."""
    shared: bool = True
    """Several processes may use the database at once."""
    transactions: bool = False
    """`VectorStore.using` can join the caller's transaction."""
    read_only: bool = False
    read_only_reason: str = "The Database was opened read-only: connect without mode=ro."
    """Why nothing can be written, and what to do, where ``read_only`` is true."""
    namespaces: bool = False
    """One server or directory can contain several databases, distinguished by name."""
    migrations: bool = False
    """Migrations upgrade the catalogue."""
    max_partitions: int = 1
    """How many partitions a store may have, with a graph each."""

    def check_writable(self) -> None:
        """Refuse to write through a read-only Database.

        Raises
        ------
        Unsupported
        """
        if self.read_only:
            raise Unsupported("writing", self.backend, self.read_only_reason)

    def check_schema(self, schema: Schema) -> None:
        """Refuse a schema that the backend cannot store.

        Raises
        ------
        Unsupported
        """
        for what, value, known in (
            ("the metric", schema.metric.value, self.metrics),
            ("the dtype", schema.dtype, self.dtypes),
        ):
            if value not in known:
                raise Unsupported(f"{what} {value}", self.backend, f"It has: {', '.join(known)}.")
        if schema.partitions > self.max_partitions:
            raise Unsupported(
                f"a store of {schema.partitions} partitions",
                self.backend,
                "Leave partitions out. A server of PostgreSQL has them.",
            )
        if schema.width > self.max_dim:
            raise Unsupported(f"{schema.width:,} dimensions", self.backend, f"The maximum is {self.max_dim:,}.")
        self.check_index(schema)

    def fit(self, schema: Schema) -> Schema:
        """Return a schema of another place without partitions and an index that the backend does not have."""
        fitting = schema if schema.partitions <= self.max_partitions else schema.with_partitions(1)
        if isinstance(fitting.index, MilvusIndex) and fitting.index.kind not in self.indexes:
            return fitting.with_index(fitting.index.to_graph())
        return fitting

    def check_index(self, schema: Schema) -> None:
        """Refuse a schema whose index the backend cannot build.

        Raises
        ------
        Unsupported
        """
        kind = schema.index.kind
        if kind not in self.indexes and isinstance(schema.index, MilvusIndex):
            hint = "Use HNSW() or Flat(), or connect to PostgreSQL with ?vectors=milvus://host:19530."
            raise Unsupported(f"the index {schema.index.name} of Milvus", self.backend, hint)
        if kind not in self.indexes:
            raise Unsupported(f"the index {kind}", self.backend, f"It has: {', '.join(self.indexes)}.")
        if isinstance(schema.index, HNSW) and schema.width > self.max_hnsw_dim:
            hint = f"The maximum is {self.max_hnsw_dim:,}. Use index=Flat()."
            raise Unsupported(f"an HNSW index over {schema.width:,} dimensions", self.backend, hint)
