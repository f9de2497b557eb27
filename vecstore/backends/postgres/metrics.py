"""The table of metrics, and the SQL of distances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray
from sqlalchemy import ColumnElement, cast

from vecstore.metric import Metric

from .column_types import VectorType, name_operator
from .generation_table import Layout


@dataclass(frozen=True, slots=True)
class Distance:
    """What pgvector offers for a metric.

    Attributes
    ----------
    operator : str
        Smaller is nearer.
    opclass : str
        The operator class of an HNSW index, without the type's name before it.
    score : callable
        Scores from the operator's values.
    """

    operator: str
    opclass: str
    score: Callable[[NDArray[Any]], NDArray[Any]]


METRICS: Mapping[Metric, Distance] = MappingProxyType(
    {
        Metric.COSINE: Distance("<=>", "cosine_ops", lambda distances: 1.0 - distances),
        Metric.IP: Distance("<#>", "ip_ops", lambda distances: 0.0 - distances),
        Metric.L2: Distance("<->", "l2_ops", lambda distances: 0.0 - distances),
    }
)


def cast_for_index(layout: Layout) -> ColumnElement[Any]:
    """Return the expression that a graph is built over: the column, or its rounded form."""
    if layout.indexed_as == layout.vector_type:
        return layout.table.c.embedding
    return cast(layout.columns.embedding, make_vector_type(layout, layout.indexed_as))


def make_vector_type(layout: Layout, name: str) -> VectorType:
    """Return pgvector's type of that name, with the dimensions of a generation."""
    return VectorType(name, layout.extension, layout.schema.width)


def compute_distance(layout: Layout, left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the distance that pgvector's operator for the metric computes."""
    return name_operator(layout.extension, METRICS[layout.schema.metric].operator)(left, right)


def compute_true_distance(layout: Layout, query: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the distance of a stored vector from the query, computed in float32."""
    stored = layout.columns.embedding
    return compute_distance(
        layout, stored if layout.vector_type == "vector" else cast(stored, make_vector_type(layout, "vector")), query
    )
