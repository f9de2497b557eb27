"""The schema of a store: dimension, metric, dtype, index and declared fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from . import index_options
from .arguments import check_whole
from .errors import InvalidArgument, close_matches
from .fields import Field, NewerSchema, describe_field, make_field
from .index_options import HNSW, Flat, IndexOptions, MilvusIndex
from .metric import Metric
from .names import check_name

MAX_DIM = 16_000
MAX_PARTITIONS = 256
DTYPES = ("float32", "float16")
VECTORS = ("required", "optional")
RESERVED = frozenset({"id", "text", "vector"})

_FIRST = frozenset({"dim", "metric", "dtype", "index", "fields"})
"""The parts that every stored schema has."""
_LATER: Mapping[str, Any] = MappingProxyType({"vectors": "required", "dynamic": False, "partitions": 1})
"""Parts that came later, with their defaults."""


@dataclass(frozen=True)
class Schema:
    """The schema of a store. Frozen: `Database.rebuild` changes a store's schema, `VectorStore.reindex` its index.

    Parameters
    ----------
    dim : int, 1 to 16,000, optional
        Length of every vector. Optional if an embedder is given.
    metric : {"cosine", "ip", "l2"}
    dtype : {"float32", "float16"}
        How vectors are stored.
    index : Flat, HNSW or MilvusIndex
    fields : mapping of str to Field
        Typed metadata fields that filters can use.
    vectors : {"required", "optional"}
        Whether every record has a vector. One without is read, filtered, counted, changed and copied like any other,
        and is never a hit.
    dynamic : bool
        Filters can also use metadata keys that are not declared: ``F["Page Number"] == 3``. A declared field is
        stricter and faster.
    partitions : int, 1 or a power of two up to 256
        Into how many tables with a graph of their own the records are divided (PostgreSQL). Smaller graphs are built
        side by side in less memory; a search asks each of them. Like the index, it changes no record and no answer.
    """

    dim: int | None = None
    metric: Metric = Metric.COSINE
    dtype: str = "float32"
    index: IndexOptions = field(default_factory=HNSW)
    fields: Mapping[str, Field] = field(default_factory=dict)
    vectors: str = "required"
    dynamic: bool = field(default=False, kw_only=True)
    partitions: int = field(default=1, kw_only=True)

    if TYPE_CHECKING:  # a metric may be given by name; the attribute is a Metric

        def __init__(
            self,
            dim: int | None = None,
            metric: Metric | str = Metric.COSINE,
            dtype: str = "float32",
            index: IndexOptions = ...,
            fields: Mapping[str, Field] = ...,
            vectors: str = "required",
            *,
            dynamic: bool = ...,
            partitions: int = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        dim = None if self.dim is None else check_whole("dim", self.dim, 1, MAX_DIM)
        if not isinstance(self.metric, str) or self.metric not in set(Metric):
            raise InvalidArgument(f"Unknown metric {self.metric!r}.{close_matches(str(self.metric), Metric)}")
        if self.dtype not in DTYPES:
            raise InvalidArgument(f"Unknown dtype {self.dtype!r}. Known: {', '.join(DTYPES)}.")
        if self.vectors not in VECTORS:
            raise InvalidArgument(f"vectors must be 'required' or 'optional', not {self.vectors!r}.")
        if not isinstance(self.index, Flat | HNSW | MilvusIndex):
            raise InvalidArgument(f"index must be Flat(), HNSW() or MilvusIndex(…), not {self.index!r}.")
        if not isinstance(self.dynamic, bool):
            raise InvalidArgument(f"dynamic must be True or False, not {type(self.dynamic).__name__}.")
        partitions = check_whole("partitions", self.partitions, 1, MAX_PARTITIONS)
        if partitions & (partitions - 1):
            raise InvalidArgument(f"partitions must be a power of two up to {MAX_PARTITIONS}, not {partitions}.")
        object.__setattr__(self, "partitions", partitions)
        object.__setattr__(self, "dim", dim)
        object.__setattr__(self, "metric", Metric(self.metric))
        object.__setattr__(self, "dtype", str(self.dtype))  # a numpy dtype equals its name
        object.__setattr__(self, "fields", MappingProxyType(_check_fields(self.fields)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the arguments, because the read-only view of ``fields`` can be neither."""
        make = partial(type(self), dynamic=self.dynamic, partitions=self.partitions)
        return make, (self.dim, self.metric, self.dtype, self.index, dict(self.fields), self.vectors)

    def __hash__(self) -> int:
        kinds = (self.dim, self.metric, self.dtype, self.index, self.vectors, self.dynamic, self.partitions)
        return hash((kinds, tuple(sorted(self.fields))))

    @property
    def has_optional_vectors(self) -> bool:
        """Whether a record may lack a vector."""
        return self.vectors == "optional"

    @property
    def width(self) -> int:
        """The dimension, which is always known for an existing store."""
        if self.dim is None:
            raise InvalidArgument("The schema has no dim. Give dim=… or an embedder.")
        return self.dim

    def differences(self, other: Schema) -> list[str]:
        """List the differences from another schema, except for those that change no record: index and partitions."""
        found = [
            f"{name} is {mine}, not {theirs}"
            for name, mine, theirs in (
                ("dim", self.dim, other.dim),
                ("metric", self.metric.value, other.metric.value),
                ("dtype", self.dtype, other.dtype),
                ("vectors", self.vectors, other.vectors),
                ("dynamic", self.dynamic, other.dynamic),
            )
            if mine != theirs
        ]
        for name in sorted({*self.fields, *other.fields}):
            mine, theirs = self.fields.get(name), other.fields.get(name)
            if mine != theirs:
                if theirs is None:
                    found.append(f"field {name} is declared, as {mine}")
                else:
                    found.append(f"field {name} is {mine or 'not declared'}, not {theirs}")
        return found

    def with_dim(self, dim: int) -> Schema:
        """Return the same schema with this dimension."""
        return replace(self, dim=dim)

    def with_index(self, index: IndexOptions) -> Schema:
        """Return the same schema with other index options."""
        return replace(self, index=index)

    def with_partitions(self, partitions: int) -> Schema:
        """Return the same schema with this number of partitions."""
        return self if partitions == self.partitions else replace(self, partitions=partitions)

    def make_portable(self) -> Schema:
        """Return the same schema without what only some places have: partitions, an index of Milvus."""
        whole = self.with_partitions(1)
        return whole.with_index(self.index.to_graph()) if isinstance(self.index, MilvusIndex) else whole

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as plain JSON data, without later parts that have their default."""
        described = {
            "dim": self.dim,
            "metric": self.metric.value,
            "dtype": self.dtype,
            "index": index_options.to_dict(self.index),
            "fields": {name: describe_field(each) for name, each in self.fields.items()},
        }
        return described | {name: getattr(self, name) for name in _LATER if getattr(self, name) != _LATER[name]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schema:
        """Build a schema from the output of `to_dict`; everything is checked again.

        Raises
        ------
        InvalidArgument
            A part is wrong, or only a newer version knows it.
        """
        try:
            if unknown := sorted(data.keys() - _FIRST - _LATER.keys()):
                raise NewerSchema(
                    f"A newer vecstore wrote this schema, which has {unknown[0]!a:.40}. Upgrade vecstore."
                )
            fields = {name: make_field(kind) for name, kind in data["fields"].items()}
            later = {name: data[name] for name in _LATER if name in data}
            index = index_options.from_dict(data["index"])
            return cls(data["dim"], data["metric"], data["dtype"], index, fields, **later)
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidArgument(f"This is not the data of a schema: {error}.") from error


def _check_fields(fields: Mapping[str, Field]) -> dict[str, Field]:
    if not isinstance(fields, Mapping):
        raise InvalidArgument('fields must be a mapping, for example {"year": fields.Int()}.')
    for name, declared in fields.items():
        check_name(name, "Field")
        if name in RESERVED:
            raise InvalidArgument(f"A field cannot be called {name!r}, which is a part of every record.")
        if not isinstance(declared, Field):
            raise InvalidArgument(f"Field {name!r} must be an instance such as fields.Keyword(), not {declared!r}.")
    return dict(fields)
