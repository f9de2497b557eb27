"""Calibration: find the smallest search effort with which an index reaches its target recall.

The effort that a recall needs depends on the data. It is therefore measured on the data: queries that are not in the
graph are searched with a ladder of efforts, and the answers are compared with exact search. These queries are stored
records that the graph was built without or does not have yet, or else points near stored vectors; see `rotation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..backend import Backend, CalibrationState, Entry, Generation, HeldOut
from ..errors import Timeout
from ..index_options import HNSW, Flat, MilvusIndex
from ..lookup import find_generation
from ..progress import Progress
from .effort import BETWEEN, LADDER, SECONDS, Clock, Effort, Outcome, find_smallest_ef
from .held_out import cut_parts, make_ask
from .probes import Probes
from .rotation import KINDS

QUERIES = 200
K = 10
CHEAPER = "Comparing all records costs less than a search of the graph that reaches target_recall."
"""Why a small store has no effort; nothing is amiss then."""
SECONDS_OF_A_BUILD = 60.0
"""Of the time of a build so many go into measuring, if the graph is so large. A shorter measurement asks fewer queries:
to be sure it takes more effort than is needed, or by chance too little."""
MUCH = 128
"""A graph that needs more effort than this is built again, where its options allow a better one."""

_ORDER = (Outcome.FOUND, Outcome.EXACT, Outcome.MISSED, Outcome.UNFINISHED)
"""Of several kinds of probes the first of these counts."""
_UNFINISHED = frozenset({"building", "invalid"})


class Calibration:
    """Calibrates the index of one generation, from measurements while it is built or afterwards.

    Parameters
    ----------
    backend : Backend
    entry : Entry
    on_progress : callable, optional
    """

    def __init__(self, backend: Backend, entry: Entry, on_progress: Progress | None = None) -> None:
        self._backend = backend
        self._entry = entry
        self._on_progress = on_progress
        self._built: tuple[HNSW, Effort] | None = None

    def measure(self, held_out: HeldOut, options: HNSW) -> None:
        """Measure a graph that is being built; for `Backend.build_index`."""
        self._built = options, self._climb(held_out, options, SECONDS_OF_A_BUILD)

    def finish(self, generation: Generation) -> Generation:
        """Calibrate an index that was built or extended; return the amended generation.

        Where the options leave ``ef_construction`` open, the target is missed or needs much effort, and a larger
        value is left to try, the index is built again with it.

        Raises
        ------
        StoreNotFound, Superseded, StoreLocked
        """
        present, effort = self._calibrate(generation, SECONDS_OF_A_BUILD)
        index = present.schema.index
        if effort is None or not isinstance(index, HNSW) or not _is_poor(effort):
            return present
        used, known = self._backend.index_state(present).ef_construction, index.list_ef_constructions()
        if used is None or not [each for each in known if each > used]:
            return present
        self._built = None
        self._backend.build_index(present, self._on_progress, self.measure, known[-1])
        return self._calibrate(present, SECONDS_OF_A_BUILD)[0]

    def calibrate(self, generation: Generation) -> Generation:
        """Find the search effort that reaches the target recall, store it, and return the amended generation.

        An unfinished index cannot be measured and keeps its effort, and so does one for which the time was too short.

        Raises
        ------
        StoreNotFound, Superseded
        """
        return self._calibrate(generation, SECONDS)[0]

    def _calibrate(self, generation: Generation, seconds: float) -> tuple[Generation, Effort | None]:
        measured = find_generation(self._backend, self._entry, generation)
        index, state = measured.schema.index, self._backend.index_state(measured).state
        if state in _UNFINISHED:
            return measured, None
        ef, calibration, effort = None, None, None
        if not isinstance(index, Flat) and state == "ready":
            effort, queries = self._find_effort(measured, index, seconds)
            if effort.outcome is Outcome.UNFINISHED and measured.ef is not None:
                return measured, effort
            if effort.outcome is Outcome.EXACT and self._is_unfinished(measured):
                return measured, None  # exact because the index was not asked any more, which says nothing about it
            ef, calibration = effort.ef, _describe_effort(effort, queries, index, self._list_efforts(measured)[-1])
        # Look it up again: amend() would undo a concurrent change of identity.
        present = find_generation(self._backend, self._entry, generation)
        if (present.ef, present.calibration) == (ef, calibration) or present.schema.index != index:
            return present, effort
        present = replace(present, ef=ef, calibration=calibration)
        self._backend.amend(present)
        return present, effort

    def _is_unfinished(self, generation: Generation) -> bool:
        return self._backend.index_state(generation).state in _UNFINISHED

    def _list_efforts(self, generation: Generation) -> Sequence[int]:
        return self._backend.list_efforts(generation, K) or LADDER

    def _find_effort(self, generation: Generation, index: HNSW | MilvusIndex, seconds: float) -> tuple[Effort, str]:
        """Return the effort of a finished index, and the queries that it was measured with."""
        if self._built is not None and self._built[0].target_recall == index.target_recall:
            return self._built[1], "held-out rows"
        with self._backend.hold_waiting(generation) as waiting:
            if waiting is not None:
                return self._climb(waiting, index, seconds), "waiting rows"
        drawn = Probes.draw(self._backend, generation, QUERIES, K).deduplicate()
        return self._try_probes(drawn.pace(), index, seconds)

    def _try_probes(self, drawn: Probes, index: HNSW | MilvusIndex, seconds: float) -> tuple[Effort, str]:
        """Return the smallest effort that is enough for one kind of probes, and which kind; or why there is none."""
        tried, ladder = list[tuple[Effort, str]](), self._list_efforts(drawn.generation)
        for kind in (kinds := KINDS[drawn.generation.schema.metric]):
            clock = Clock(self._on_progress, seconds / len(kinds))
            most = min((effort.ef for effort, _ in tried if effort.ef), default=ladder[-1])
            try:
                probes = drawn.turn(kind, clock)
                parts = list(probes.cut_parts())
                effort = find_smallest_ef(probes.ask, parts, index.target_recall, clock, most, ladder=ladder)
            except Timeout:  # of one exact search: the graph, which may have taken hours, is built
                effort = Effort(Outcome.UNFINISHED)
            clock.finish()
            tried.append((effort, kind))
        return min(tried, key=lambda each: (_ORDER.index(each[0].outcome), each[0].ef or 0))

    def _climb(self, held_out: HeldOut, index: HNSW | MilvusIndex, seconds: float) -> Effort:
        clock = Clock(self._on_progress, seconds)
        effort = find_smallest_ef(
            make_ask(held_out, K), cut_parts(len(held_out)), index.target_recall, clock, between=BETWEEN
        )
        clock.finish()
        return effort


def _is_poor(effort: Effort) -> bool:
    """Say whether a better graph could spare searches much."""
    if effort.outcome is Outcome.UNFINISHED or effort.recall is None:
        return False
    return effort.ef is None or effort.ef > MUCH


def _describe_effort(effort: Effort, measured: str, index: HNSW | MilvusIndex, most: int) -> CalibrationState:
    better = "a denser graph: reindex(HNSW(m=…, ef_construction=…))" if isinstance(index, HNSW) else "another index"
    reason = {
        Outcome.FOUND: None,
        Outcome.MISSED: (
            f"No effort up to {most:,} reaches target_recall={index.target_recall:g}. Lower it, or build {better}."
        ),
        Outcome.EXACT: CHEAPER,
        Outcome.UNFINISHED: (
            "The time was too short to measure recall. Call calibrate() when the store is less busy, or connect with a "
            "longer timeout if one exact search takes as long as that."
        ),
    }[effort.outcome]
    return CalibrationState(None if effort.recall is None else measured, effort.recall, reason)
