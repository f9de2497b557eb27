"""Codes of segments that no graph covers, encoded when a segment is scanned for the second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric

from ..index.coverage import Coverage
from ..state.columns import View
from ..state.fields import Mask
from ..vectors.part import Part
from ..vectors.vectors import Vectors
from .codes import Codes
from .exact_codes import CodedRows
from .faiss_threads import in_own_thread
from .graph import Graph

_LEAST = 1_024
"""Codes of fewer rows are not worth their memory."""
_AT_ONCE = 65_536
"""At most this many rows are encoded per search; later searches benefit."""


@dataclass(slots=True, eq=False)
class _SegmentCodes:
    """How often a segment was scanned, and its codes once there are some."""

    scans: int = 0
    codes: Codes | None = None


class CodeCache:
    """Codes by segment. It may lack any of them: searches then scan the vectors."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._lock = Lock()
        self._codes: dict[str, _SegmentCodes] = {}

    def collect_codes(
        self, vectors: Vectors, coverage: Coverage | None, view: View | None, keep: Mask | None
    ) -> tuple[list[CodedRows], list[Part]]:
        """Return what there is as codes, and the parts without codes, all their rows.

        Parameters
        ----------
        vectors : Vectors
        coverage : Coverage or None
        view : View or None
            Where there is a filter.
        keep : ndarray of bool or None
            Which rows of the view count.
        """
        coded, uncoded = [], []
        rids = None if view is None or keep is None else view.rids[keep]
        for part in vectors.parts if coverage is None else coverage.tail:
            known = self._codes.get(part.segment)
            counted: Part | None = part if rids is None else part.restrict(rids)
            if known is None or known.codes is None:
                uncoded.append(part)
            elif counted is not None:
                alive = None if rids is None and part.alive.all() else counted.alive
                coded.append(CodedRows(known.codes, alive, partial(_find_segment_rids, part)))
        if coverage is not None:
            counts: Mask | None = None if coverage.count == len(coverage.graph) else coverage.stored
            if view is not None and keep is not None:
                counts = coverage.select_matching(keep, view.columns)
            nodes = None if counts is None else coverage.graph.mark_nodes(counts)
            coded.append(CodedRows(coverage.graph.codes, nodes, partial(_find_graph_rids, coverage.graph, counts)))
        return coded, uncoded

    def encode_segments(self, vectors: Vectors, parts: Sequence[Part]) -> None:
        """Encode segments that are scanned for the second time, and forget codes of segments that are gone."""
        with self._lock:
            lasting = {segment.row.uid for segment in vectors.segments}
            self._codes = {uid: known for uid, known in self._codes.items() if uid in lasting}
            left = _AT_ONCE
            for part in parts:
                size = len(part.vectors)
                if size < _LEAST or part.segment not in lasting:
                    continue
                known = self._codes.setdefault(part.segment, _SegmentCodes())
                known.scans += 1
                if known.codes is None and known.scans > 1 and left > 0:
                    left -= size
                    part.touch(0, size)
                    known.codes = in_own_thread(partial(Codes.encode, self._metric, part.vectors, part.read_norms()))


def _find_segment_rids(part: Part, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    return part.get_rids(places), np.arange(len(places))


def _find_graph_rids(
    graph: Graph, counts: Mask | None, nodes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    rows = graph.find_rows(nodes)
    if counts is not None:
        rows = rows[counts[rows]]
    order = np.argsort(nodes)
    return graph.rids[rows], order[np.searchsorted(nodes, graph.nodes[rows], sorter=order)]
