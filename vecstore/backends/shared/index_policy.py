"""When the index of a generation is built, kept or removed, whatever the engine.

The catalogue's index options decide, never those of a caller, whose copy of the generation may be older than the last
`reindex`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import replace

from vecstore.backend import Generation, Progress
from vecstore.index_options import HNSW, IndexOptions

BUSY = "Another process is building this store's index."
"""Says why a build is refused while another one runs."""
LEAST_HELD_OUT = 200
"""Fewer queries measure a recall with a standard error of half a per cent and more."""
MOST_HELD_OUT = 1_000
_HELD_OUT_SHARE = 10
"""One row in so many is held out at most: a smaller graph is easier to search."""
_SHARE = 4
"""The part of the rows that are missing for a graph, after which a writer looks again."""


def choose_graph(options: IndexOptions, rows: int, min_rows: int, ef_construction: int | None = None) -> HNSW | None:
    """Return the graph that so many rows get, every number given; None where an exact search is asked for, or as fast.

    A write builds a graph over ``min_rows``. Whoever asks for one, as `reindex` does, gets it over a single row.
    Options that leave ``ef_construction`` open take the given one, or the first that they try.
    """
    if not isinstance(options, HNSW) or rows < min_rows:
        return None
    known = options.list_ef_constructions()
    return replace(options, ef_construction=ef_construction if ef_construction in known else known[0])


def count_held_out(rows: int) -> int:
    """Return how many of the rows a graph is built without, to be measured with; 0 where they are too few to tell."""
    share = min(MOST_HELD_OUT, rows // _HELD_OUT_SHARE)
    return share if share >= LEAST_HELD_OUT else 0


class IndexUpkeep(ABC):
    """Builds and removes the index of one generation after another.

    Parameters
    ----------
    min_rows : int
        Fewer records get no graph.
    """

    def __init__(self, min_rows: int) -> None:
        self._min_rows = min_rows
        self._ready: set[str] = set()
        self._rows_left: dict[str, int] = {}

    def note_written(self, generation: Generation, rows: int) -> None:
        """Take note of rows that this process wrote."""
        if generation.id in self._rows_left:
            self._rows_left[generation.id] -= rows

    def tend(self, generation: Generation, on_progress: Progress | None) -> bool:
        """Build the graph that the records have become worth; return whether it was built, or was never calibrated.

        Called after every write, so it asks the server only once enough rows were written since it last asked. A
        caller whose copy of the generation has no graph asks nothing: it cannot remove one by mistake.
        """
        id_ = generation.id
        if not isinstance(generation.schema.index, HNSW) or id_ in self._ready or self._rows_left.get(id_, 0) > 0:
            return False
        min_rows = self._get_min_rows(generation)
        rows = self._count_up_to(generation, min_rows)
        if rows < min_rows:
            # Other processes write too: look again long before this one alone can have filled the store.
            self._rows_left[id_] = (min_rows - rows) // _SHARE
            return False
        described = self._read_description(generation)
        if choose_graph(described.schema.index, rows, min_rows) is None or not self._may_build(generation):
            self._rows_left[id_] = min_rows // _SHARE
            return False
        if self._has_graph(generation):
            # Whoever built it may have been interrupted before it was calibrated.
            if described.calibration is None and described.ef is None:
                return True
            self._ready.add(id_)
            return False
        self.build(generation, on_progress)
        return True

    def build(self, generation: Generation, on_progress: Progress | None, ef_construction: int | None = None) -> None:
        """Build the index that the catalogue asks for, however few the rows, or remove what it does not ask for.

        Raises
        ------
        StoreLocked
            Another process builds it.
        """
        with self._lock(generation):
            self._ready.discard(generation.id)
            wanted = self._read_description(generation).schema.index
            graph = choose_graph(wanted, self._count_up_to(generation, 1), 1, ef_construction)
            self._replace(generation, graph, on_progress)

    def _may_build(self, generation: Generation) -> bool:
        """Say whether a write may build the graph here."""
        return True

    def _get_min_rows(self, generation: Generation) -> int:
        """Return how many records make a graph worth building."""
        return self._min_rows

    @abstractmethod
    def _has_graph(self, generation: Generation) -> bool:
        """Look whether the generation has a usable graph."""

    @abstractmethod
    def _count_up_to(self, generation: Generation, most: int) -> int:
        """Count records; a backend may stop at ``most``."""

    @abstractmethod
    def _read_description(self, generation: Generation) -> Generation:
        """Return the generation as the catalogue describes it now.

        Raises
        ------
        Superseded
        """

    @abstractmethod
    def _lock(self, generation: Generation) -> AbstractContextManager[object]:
        """Keep other builders of the generation out, or raise `StoreLocked` with `BUSY`."""

    @abstractmethod
    def _replace(self, generation: Generation, graph: HNSW | None, on_progress: Progress | None) -> None:
        """Put a new graph, or none, in the place of what there is; searches and writers go on meanwhile."""
