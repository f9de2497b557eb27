"""Index options: one frozen class per kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from .arguments import check_whole, describe, is_finite
from .errors import InvalidArgument

_EF_CONSTRUCTIONS = (100, 200)
"""Half of the time is enough for most data: vectors of sentences reach the same recall with either."""


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

    m: int = 16
    ef_construction: int | None = None
    target_recall: float = 0.98

    def __post_init__(self) -> None:
        m = check_whole("m", self.m, 2, 100)
        if self.ef_construction is not None:
            given = check_whole("ef_construction", self.ef_construction, max(4, 2 * m), 1000)
            object.__setattr__(self, "ef_construction", given)
        recall = self.target_recall
        if not is_finite(recall) or not 0 < recall <= 1:
            raise InvalidArgument(f"target_recall must be above 0 and at most 1, not {describe(recall)}.")
        object.__setattr__(self, "m", m)
        object.__setattr__(self, "target_recall", float(recall))

    def list_ef_constructions(self) -> tuple[int, ...]:
        """Return the values with which the graph may be built, in the order in which they are tried."""
        if self.ef_construction is not None:
            return (self.ef_construction,)
        return tuple(dict.fromkeys(max(each, 2 * self.m) for each in _EF_CONSTRUCTIONS))

    def is_graph_of(self, m: int, ef_construction: int) -> bool:
        """Say whether a graph that was built with these numbers is what the options ask for."""
        return m == self.m and ef_construction in self.list_ef_constructions()


IndexOptions = Flat | HNSW

_KINDS: Mapping[str, type[Flat] | type[HNSW]] = {each.kind: each for each in (Flat, HNSW)}


def to_dict(options: IndexOptions) -> dict[str, Any]:
    """Return index options as plain JSON data."""
    return {"kind": options.kind, **asdict(options)}


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
