"""What a search and a description of Milvus say, in numpy and plain Python: pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt
from vecstore.metric import Metric

from .fields import STAMP
from .indexes import METRICS, IndexPlan, restore_plan
from .segments import Segments

FOREIGN = "reindex() makes it anew, or give the server another database."


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The answer to one query, the nearest first. There may be fewer than were asked for, although more match.

    Attributes
    ----------
    ids : list of str
    stamps : ndarray, shape (n,), int64
        What was written beside each id.
    scores : ndarray, shape (n,), float64
        Larger is nearer, as `vecstore.metric` defines them, but in the engine's arithmetic.
    """

    ids: list[str]
    stamps: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class CollectionIndex:
    """The index of a collection.

    Attributes
    ----------
    plan : IndexPlan
    rows : int
        That the server knows of: in sealed segments, and counted late.
    indexed : int
    pending : int
        Sealed rows without an index yet. Searches read an interim one over them, which loses neighbours.
    segments : Segments
        How searches read the sealed rows: the index that is built from about 10 s later on.
    failure : str or None
        That a build failed. The server's reason is in its log.
    """

    plan: IndexPlan
    rows: int
    indexed: int
    pending: int
    segments: Segments
    failure: str | None = None


_SCORES: Mapping[Metric, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = MappingProxyType(
    {
        Metric.COSINE: lambda raw: raw,
        Metric.IP: lambda raw: raw,
        Metric.L2: lambda raw: -np.sqrt(np.maximum(raw, 0.0)),  # the server's is squared, and may round below zero
    }
)


def read_hits(answer: Any, metric: Metric) -> list[Nearest]:
    """Return the answers to the queries of a search."""
    found = answer.results
    ids = list(found.ids.str_id.data)
    raw = np.fromiter(found.scores, np.float64, len(found.scores))
    stamps = np.zeros(len(ids), np.int64)
    for column in found.fields_data:
        if column.field_name == STAMP:
            stamps = np.fromiter(column.scalars.long_data.data, np.int64, len(ids))
    scores = _SCORES[metric](raw)
    nearest, start = [], 0
    for length in found.topks or [0] * found.num_queries:
        end = start + length
        nearest.append(Nearest(ids[start:end], stamps[start:end], scores[start:end]))
        start = end
    return nearest


def read_columns(answer: Any) -> dict[str, list[Any]]:
    """Return the columns of a query by their names."""
    columns = dict[str, list[Any]]()
    for column in answer.fields_data:
        kind = column.scalars.WhichOneof("data")
        columns[column.field_name] = list(getattr(column.scalars, kind).data) if kind else []
    return columns


def read_plan(answer: Any) -> IndexPlan:
    """Return the index that a server describes, as it was asked for.

    Parameters
    ----------
    answer : milvus_pb2.DescribeIndexResponse

    Raises
    ------
    StoreCorrupt
        There is none, or one that vecstore does not make.
    """
    if len(answer.index_descriptions) != 1:
        raise StoreCorrupt(f"The collection has not the one index that it was made with. {FOREIGN}")
    said = {pair.key: pair.value for pair in answer.index_descriptions[0].params}
    metric = {text: metric for metric, text in METRICS.items()}.get(said.get("metric_type", ""))
    plan = None if metric is None else restore_plan(said.get("index_type", ""), metric, _read_build(said))
    if plan is None:
        raise StoreCorrupt(f"The collection has an index that vecstore did not make. {FOREIGN}")
    return plan


def read_index(answer: Any, segments: Segments) -> CollectionIndex:
    """Return the index that a server describes, how far it is built, and how far searches read it.

    Parameters
    ----------
    answer : milvus_pb2.DescribeIndexResponse
    segments : Segments

    Raises
    ------
    StoreCorrupt
        As `read_plan` does.
    """
    plan, described = read_plan(answer), answer.index_descriptions[0]
    failure = "Milvus could not build the index. Its log says why." if described.index_state_fail_reason else None
    return CollectionIndex(
        plan, described.total_rows, described.indexed_rows, described.pending_index_rows, segments, failure
    )


def _read_build(said: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a build, which some versions describe one by one and others as JSON."""
    packed = said.get("params")
    if packed is None:
        return {key: value for key, value in said.items() if key not in {"index_type", "metric_type"}}
    return {key: str(value) for key, value in json.loads(packed).items()}
