"""Index options: one frozen class per kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, SupportsFloat

from .arguments import check_whole, describe, is_finite
from .errors import InvalidArgument, close_matches

_EF_CONSTRUCTIONS = (100, 200)
"""Half of the time is enough for most data: vectors of sentences reach the same recall with either."""
_M = 16
_RECALL = 0.98


def _check_recall(recall: object) -> float:
    if not isinstance(recall, SupportsFloat) or not is_finite(recall) or not 0 < float(recall) <= 1:
        raise InvalidArgument(f"target_recall must be above 0 and at most 1, not {describe(recall)}.")
    return float(recall)


@dataclass(frozen=True, slots=True)
class Flat:
    """No graph: every search is exact."""

    kind: ClassVar[str] = "flat"


@dataclass(frozen=True, slots=True)
class HNSW:
    """A hierarchical navigable small world graph (Malkov and Yashunin, 2016).

    Parameters
    ----------
    m : int, 2 to 100
        Neighbours of a node on each layer.
    ef_construction : int, ``2 * m`` to 1000, at least 4, optional
        Number of candidates while a node is inserted. By default the graph is built with 100, and once again with 200
        where the first one does not reach ``target_recall`` or needs much effort for it; `index_status` tells which
        it was.
    target_recall : float, above 0 and up to 1
        The recall@10 that a search with ``ef=None`` is calibrated to.
    """

    kind: ClassVar[str] = "hnsw"

    m: int = _M
    ef_construction: int | None = None
    target_recall: float = _RECALL

    def __post_init__(self) -> None:
        m = check_whole("m", self.m, 2, 100)
        if self.ef_construction is not None:
            given = check_whole("ef_construction", self.ef_construction, max(4, 2 * m), 1000)
            object.__setattr__(self, "ef_construction", given)
        object.__setattr__(self, "m", m)
        object.__setattr__(self, "target_recall", _check_recall(self.target_recall))

    def list_ef_constructions(self) -> tuple[int, ...]:
        """Return the values with which the graph may be built, in the order in which they are tried."""
        if self.ef_construction is not None:
            return (self.ef_construction,)
        return tuple(dict.fromkeys(max(each, 2 * self.m) for each in _EF_CONSTRUCTIONS))

    def is_graph_of(self, m: int, ef_construction: int) -> bool:
        """Say whether a graph that was built with these numbers is what the options ask for."""
        return m == self.m and ef_construction in self.list_ef_constructions()


_LISTS: Mapping[str, tuple[int, int]] = {"nlist": (1, 65_536)}
_CODES: Mapping[str, tuple[int, int]] = {**_LISTS, "m": (1, 16_000), "nbits": (1, 16)}
MILVUS_KINDS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "FLAT": {},
    "HNSW": {"m": (2, 100), "ef_construction": (4, 1_000)},
    "IVF_FLAT": _LISTS,
    "IVF_SQ8": _LISTS,
    "IVF_PQ": _CODES,
    "SCANN": _LISTS,
    "DISKANN": {},
    "GPU_IVF_FLAT": _LISTS,
    "GPU_IVF_PQ": _CODES,
    "GPU_CAGRA": {"graph_degree": (2, 1_024), "intermediate_graph_degree": (2, 2_048)},
    "GPU_BRUTE_FORCE": {},
}
"""The kinds of Milvus, with the options of each and their bounds."""


@dataclass(frozen=True, slots=True)
class MilvusIndex:
    """An index of Milvus, by its name there, for a store of PostgreSQL that a Milvus server follows.

    Parameters
    ----------
    name : str
        ``FLAT``, ``HNSW``, ``IVF_FLAT``, ``IVF_SQ8``, ``IVF_PQ``, ``SCANN``, ``DISKANN``, ``GPU_IVF_FLAT``,
        ``GPU_IVF_PQ``, ``GPU_CAGRA`` or ``GPU_BRUTE_FORCE``. Which of them there are depends on the server.
    nlist : int, 1 to 65,536, optional
        Into how many lists IVF and SCANN divide the vectors; 128 by default.
    m : int, optional
        HNSW: neighbours of a node, 16 by default. IVF_PQ: into how many parts a vector is cut, each of which becomes a
        code; a divisor of the dimension.
    ef_construction : int, ``2 * m`` to 1000, optional
        HNSW: candidates while a node is inserted, 100 by default.
    nbits : int, 1 to 16, optional
        IVF_PQ: bits of a code, 8 by default.
    graph_degree, intermediate_graph_degree : int, optional
        GPU_CAGRA: neighbours of a node, and before the graph is pruned.
    target_recall : float, above 0 and up to 1
        The recall@10 that a search with ``ef=None`` is calibrated to.
    """

    kind: ClassVar[str] = "milvus"

    name: str
    nlist: int | None = field(default=None, kw_only=True)
    m: int | None = field(default=None, kw_only=True)
    ef_construction: int | None = field(default=None, kw_only=True)
    nbits: int | None = field(default=None, kw_only=True)
    graph_degree: int | None = field(default=None, kw_only=True)
    intermediate_graph_degree: int | None = field(default=None, kw_only=True)
    target_recall: float = field(default=_RECALL, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InvalidArgument(f"The name of an index is a str such as 'IVF_FLAT', not {describe(self.name)}.")
        name = self.name.upper()
        if name not in MILVUS_KINDS:
            raise InvalidArgument(f"Milvus has no index {self.name[:40]!a}.{close_matches(name, MILVUS_KINDS)}")
        object.__setattr__(self, "name", name)
        for option, given in self._list_given().items():
            bounds = MILVUS_KINDS[name].get(option)
            if bounds is None:
                takes = ", ".join(MILVUS_KINDS[name]) or "no options"
                raise InvalidArgument(f"{name} takes {takes}. Leave {option} out.")
            object.__setattr__(self, option, check_whole(option, given, *bounds))
        if name == "HNSW" and self.ef_construction is not None and self.ef_construction < 2 * (self.m or _M):
            raise InvalidArgument(f"ef_construction must be at least twice m, not {self.ef_construction}.")
        object.__setattr__(self, "target_recall", _check_recall(self.target_recall))

    def to_graph(self) -> HNSW:
        """Return the index that a store has instead in a place without Milvus."""
        return HNSW(target_recall=self.target_recall)

    def _list_given(self) -> dict[str, Any]:
        """Return the options that were given, apart from the recall."""
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.default is None and getattr(self, each.name) is not None
        }

    def __repr__(self) -> str:
        given = [f"{option}={value}" for option, value in self._list_given().items()]
        if self.target_recall != _RECALL:
            given.append(f"target_recall={self.target_recall}")
        return f"MilvusIndex({', '.join([repr(self.name), *given])})"


IndexOptions = Flat | HNSW | MilvusIndex

_KINDS: Mapping[str, type[Flat] | type[HNSW] | type[MilvusIndex]] = {
    each.kind: each for each in (Flat, HNSW, MilvusIndex)
}


def to_dict(options: IndexOptions) -> dict[str, Any]:
    """Return index options as plain JSON data."""
    described = asdict(options)
    if isinstance(options, MilvusIndex):  # each kind has other options
        described = {key: value for key, value in described.items() if value is not None}
    return {"kind": options.kind, **described}


def from_dict(data: Mapping[str, Any]) -> IndexOptions:
    """Build index options from the output of `to_dict`; unknown kinds and options are refused."""
    if not isinstance(data, Mapping):
        raise InvalidArgument(f"Index options must be a mapping, not {type(data).__name__}.")
    options = dict(data)
    name = options.pop("kind", None)
    if not isinstance(name, str) or name not in _KINDS:
        raise InvalidArgument(f"Unknown index kind {name!r}. Known: {', '.join(_KINDS)}.")
    try:
        return _KINDS[name](**options)
    except TypeError as error:
        raise InvalidArgument(f"Index {name!r} has unknown options: {', '.join(sorted(options))}.") from error
