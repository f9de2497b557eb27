"""Kinds of indexes in Milvus: what each is built with, what its effort is called, and what bounds both. Pure.

One table has all kinds. A server takes whatever name it is given in some versions and fails in the background, so what
it has is decided here, before anything is asked of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vecstore.errors import InvalidArgument, Unsupported
from vecstore.index_options import HNSW, MilvusIndex
from vecstore.metric import Metric

Version = tuple[int, int, int]

OLDEST: Version = (2, 3, 0)
"""The first version that replaces records by id."""
MAX_K = 16_384
"""Hits of one search, and records of one answer."""
METRICS: Mapping[Metric, str] = MappingProxyType({Metric.COSINE: "COSINE", Metric.IP: "IP", Metric.L2: "L2"})
_NLIST = 128
_MAX_EF = 32_768
_MAX_SEARCH_LIST = 65_535
_WIDE: Version = (2, 5, 0)
"""Since when graphs may be denser than 64 neighbours."""
_FEW = 20
_LEAST_DISK_DIM = 32
_NO_GAP = (math.inf, math.inf)
_OLD_GRAPHS = ((4, 64), (8, 512))
"""Bounds of M and efConstruction before `_WIDE`."""

Bounds = Callable[["IndexPlan", int], tuple[int, int]]


@dataclass(frozen=True)
class IndexPlan:
    """An index as Milvus is asked for it.

    Attributes
    ----------
    name : str
        The kind, by its name there.
    metric : Metric
    params : mapping of str to int or bool
        What it is built with, by the names there.
    """

    name: str
    metric: Metric
    params: Mapping[str, int | bool]

    @property
    def effort_name(self) -> str | None:
        """What the effort of a search is called there; None where there is nothing to choose."""
        return _KINDS[self.name].effort

    @property
    def can_mask(self) -> bool:
        """Whether rows may be left out, because a filter does not match them or they were replaced or deleted."""
        return _KINDS[self.name].can_mask

    @property
    def has_interim(self) -> bool:
        """Whether searches read an interim index until they read this one."""
        return _KINDS[self.name].has_interim

    def finds_matches(self, widening: float) -> bool:
        """Say whether a search with a filter finds the nearest matches.

        Parameters
        ----------
        widening : float
            How many records there are for one that matches.
        """
        low, high = _KINDS[self.name].gap
        return self.can_mask and not low < widening < high


@dataclass(frozen=True)
class _Kind:
    """What is known of a kind.

    Attributes
    ----------
    since : tuple of int
        The first version of the server that has it.
    build : callable
        From options and a dimension to the parameters of a build.
    effort : str or None
        The parameter of a search that trades time for recall.
    bounds : callable
        From a plan and ``k`` to the least and the greatest effort.
    usual : int
        An effort to begin with, before anything was measured.
    breadth : int
        How many times ``k`` candidates a caller asks for who compares them again exactly: codes lose the order.
    can_mask : bool
        Whether rows may be left out that a filter does not match, or that were replaced: product quantisation orders
        the others wrongly then.
    has_interim : bool
        Whether searches read an interim index until they read this one: it need not be waited for otherwise.
    gap : tuple of float
        Where there are so many records for one that matches, no effort finds enough of the matches: a graph without the
        others falls apart. Where fewer match, all of them are compared.
    """

    since: Version
    build: Callable[[HNSW | MilvusIndex, int], dict[str, int | bool]]
    effort: str | None = None
    bounds: Bounds = lambda plan, k: (1, 1)
    usual: int = 64
    breadth: int = 1
    can_mask: bool = True
    has_interim: bool = True
    gap: tuple[float, float] = _NO_GAP


def _build_nothing(options: HNSW | MilvusIndex, dim: int) -> dict[str, int | bool]:
    return {}


def _build_hnsw(options: HNSW | MilvusIndex, dim: int) -> dict[str, int | bool]:
    if isinstance(options, HNSW):
        return {"M": options.m, "efConstruction": options.list_ef_constructions()[0]}
    m = options.m or HNSW().m
    return {"M": m, "efConstruction": options.ef_construction or max(100, 2 * m)}


def _build_lists(options: HNSW | MilvusIndex, dim: int) -> dict[str, int | bool]:
    return {"nlist": _get_nlist(options)}


def _build_scann(options: HNSW | MilvusIndex, dim: int) -> dict[str, int | bool]:
    if dim % 2:
        raise InvalidArgument(f"SCANN makes codes of pairs of numbers: the dimension must be even, not {dim:,}.")
    return {"nlist": _get_nlist(options), "with_raw_data": True}


def _build_diskann(options: HNSW | MilvusIndex, dim: int) -> dict[str, int | bool]:
    if dim < _LEAST_DISK_DIM:
        raise InvalidArgument(f"DISKANN takes dimensions from {_LEAST_DISK_DIM} on, not {dim}.")
    return {}


def _build_pq(options: HNSW | MilvusIndex, dim: int) -> dict[str, int | bool]:
    given = options if isinstance(options, MilvusIndex) else MilvusIndex("IVF_PQ")
    m = given.m or _find_divisor(dim)
    if dim % m:
        raise InvalidArgument(f"m of {given.name} is the number of parts of a vector: {m} does not divide {dim:,}.")
    return {"nlist": _get_nlist(options), "m": m, "nbits": given.nbits or 8}


def _build_cagra(options: HNSW | MilvusIndex, dim: int) -> dict[str, int | bool]:
    given = options if isinstance(options, MilvusIndex) else MilvusIndex("GPU_CAGRA")
    degree = given.graph_degree or 64
    return {"graph_degree": degree, "intermediate_graph_degree": given.intermediate_graph_degree or 2 * degree}


def _get_nlist(options: HNSW | MilvusIndex) -> int:
    return (options.nlist if isinstance(options, MilvusIndex) else None) or _NLIST


def _find_divisor(dim: int) -> int:
    """Return into how many parts a vector is cut: of four numbers each where that divides it."""
    return next((dim // part for part in (4, 8, 2, 3, 5, 7) if dim % part == 0), dim if dim < _FEW else 1)


def _bound_ef(plan: IndexPlan, k: int) -> tuple[int, int]:
    return k, _MAX_EF


def _bound_nprobe(plan: IndexPlan, k: int) -> tuple[int, int]:
    return 1, int(plan.params["nlist"])


def _bound_search_list(plan: IndexPlan, k: int) -> tuple[int, int]:
    return k, 200 if k <= _FEW else min(10 * k, _MAX_SEARCH_LIST)


_GPU: Version = (2, 4, 0)
_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "FLAT": _Kind(OLDEST, _build_nothing, has_interim=False),
        "HNSW": _Kind(OLDEST, _build_hnsw, "ef", _bound_ef, gap=(6.0, 18.0)),
        "IVF_FLAT": _Kind(OLDEST, _build_lists, "nprobe", _bound_nprobe, 16),
        "IVF_SQ8": _Kind(OLDEST, _build_lists, "nprobe", _bound_nprobe, 16, 2),
        "IVF_PQ": _Kind(OLDEST, _build_pq, "nprobe", _bound_nprobe, 16, 10, can_mask=False),
        "SCANN": _Kind(OLDEST, _build_scann, "nprobe", _bound_nprobe, 16, 2),
        "DISKANN": _Kind(OLDEST, _build_diskann, "search_list", _bound_search_list, 100),
        "GPU_IVF_FLAT": _Kind(OLDEST, _build_lists, "nprobe", _bound_nprobe, 16),
        "GPU_IVF_PQ": _Kind(OLDEST, _build_pq, "nprobe", _bound_nprobe, 16, 10, can_mask=False),
        "GPU_CAGRA": _Kind(_GPU, _build_cagra, "itopk_size", _bound_ef),
        "GPU_BRUTE_FORCE": _Kind(_GPU, _build_nothing),
    }
)


def plan_index(options: HNSW | MilvusIndex, *, dim: int, metric: Metric, version: Version | None = None) -> IndexPlan:
    """Return the index that options describe, as Milvus is asked for it.

    Parameters
    ----------
    options : HNSW or MilvusIndex
        `vecstore.Flat` has none: nothing is asked of Milvus then.
    dim : int
    metric : Metric
    version : tuple of int, optional
        Of the server; by default a kind that any version has is enough.

    Raises
    ------
    Unsupported
        The server has no such kind, or not with these numbers.
    InvalidArgument
        The options do not fit the dimension.
    """
    name = "HNSW" if isinstance(options, HNSW) else options.name
    kind = _KINDS[name]
    plan = IndexPlan(name, metric, MappingProxyType(kind.build(options, dim)))
    if version is not None:
        _check_version(plan, kind, version)
    return plan


def _check_version(plan: IndexPlan, kind: _Kind, version: Version) -> None:
    has = ".".join(map(str, version))
    if version < kind.since:
        raise Unsupported(
            f"the index {plan.name}", f"Milvus {has}", f"It begins with {'.'.join(map(str, kind.since))}."
        )
    if plan.name == "HNSW" and version < _WIDE:
        for value, (low, high), word in zip(plan.params.values(), _OLD_GRAPHS, ("m", "ef_construction"), strict=True):
            if not low <= value <= high:
                raise Unsupported(f"HNSW with {word}={value}", f"Milvus {has}", f"It takes {low} to {high}.")


def restore_plan(name: str, metric: Metric, params: Mapping[str, str]) -> IndexPlan | None:
    """Return the plan of an index that a server describes; None if it is of no kind that this version knows."""
    if name not in _KINDS:
        return None
    known = {key: text.casefold() == "true" if not text.isdigit() else int(text) for key, text in params.items()}
    return IndexPlan(name, metric, MappingProxyType(known))


def bound_effort(plan: IndexPlan, effort: int, k: int) -> int:
    """Return the effort within what the kind takes for so many hits."""
    least, most = _KINDS[plan.name].bounds(plan, k)
    return max(least, min(effort, most))


def suggest_effort(plan: IndexPlan, k: int) -> int:
    """Return an effort to begin with, before anything was measured."""
    return bound_effort(plan, _KINDS[plan.name].usual, k)


def list_efforts(plan: IndexPlan, k: int) -> tuple[int, ...]:
    """Return efforts to measure, from the least to the greatest; none where there is nothing to choose."""
    if plan.effort_name is None:
        return ()
    least, most = _KINDS[plan.name].bounds(plan, k)
    found, effort = [least], 1
    while effort < most:
        effort *= 2
        found += [each for each in (effort, effort * 3 // 2) if least < each < most]
    return tuple(dict.fromkeys([*found, most]))


def count_candidates(plan: IndexPlan, k: int) -> int:
    """Return how many hits to ask for where the caller compares them again exactly and keeps ``k``."""
    return min(MAX_K, k * _KINDS[plan.name].breadth)


def write_search_params(plan: IndexPlan, effort: int | None, k: int) -> dict[str, int]:
    """Return the parameters of a search for ``k`` hits."""
    name = plan.effort_name
    if name is None:
        return {}
    chosen = suggest_effort(plan, k) if effort is None else bound_effort(plan, effort, k)
    if plan.name == "SCANN":
        # It compares so many again with the vectors themselves; with k alone its codes decide.
        return {name: chosen, "reorder_k": min(MAX_K, 10 * k)}
    return {name: chosen}
