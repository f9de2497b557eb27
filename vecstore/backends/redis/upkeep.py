"""When the index of a generation is built again, and how."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress

from vecstore.backend import Generation, Progress
from vecstore.errors import IndexNotReady, StoreCorrupt, VecstoreError
from vecstore.index_options import HNSW, Flat, IndexOptions
from vecstore.progress import CallbackFailed

from ..shared.index_policy import BUSY, IndexUpkeep
from .catalogue import Catalogue
from .client import Client
from .counts import count_vectors
from .failures import MENDING
from .generation_guard import GenerationGuard
from .indexes import make_index_command
from .keys import Keys
from .leases import Leases
from .scripts import REPLACE_INDEX

_PAUSE = 0.02


class Upkeep(IndexUpkeep):
    """Builds the indexes of generations.

    Parameters
    ----------
    client : Client
    keys : Keys
    leases : Leases
    catalogue : Catalogue
    guard : GenerationGuard
    """

    def __init__(
        self,
        client: Client,
        keys: Keys,
        leases: Leases,
        catalogue: Catalogue,
        guard: GenerationGuard,
    ) -> None:
        super().__init__(client.options.index_min_rows)
        self._client = client
        self._keys = keys
        self._leases = leases
        self._catalogue = catalogue
        self._guard = guard
        self._counts: dict[str, int] = {}

    def note_count(self, generation: Generation, count: int) -> None:
        """Note the number of records after a write, which saves `tend` most round trips."""
        id_ = generation.id
        grown, self._counts[id_] = count - self._counts.get(id_, 0), count
        if count < self._min_rows:
            self._rows_left[id_] = self._min_rows - count
        else:
            self.note_written(generation, grown)

    def _has_graph(self, generation: Generation) -> bool:
        return self._guard.read(generation).kind == "hnsw"

    def _count_up_to(self, generation: Generation, most: int) -> int:
        return count_vectors(self._guard, generation)

    def _read_description(self, generation: Generation) -> Generation:
        return self._catalogue.read_generation(generation)

    def _lock(self, generation: Generation) -> AbstractContextManager[object]:
        return self._leases.hold(self._keys.lock("index", generation.id), BUSY)

    def _replace(self, generation: Generation, graph: HNSW | None, on_progress: Progress | None) -> None:
        """Build an index beside the present one, then replace the present one."""
        kind, state = "hnsw" if graph else "flat", self._guard.read(generation)
        info, count = self._guard.read_index(generation, state.index)
        if kind == state.kind == "flat" and info is not None and info.records == count:
            return
        if on_progress and graph:
            on_progress("indexing", 0, count)
        name = self._start_build(generation, graph or Flat())
        hash_ = self._keys.generation(generation.id)
        try:
            count = self._wait_for_build(generation, name, on_progress if graph else None)
        except (CallbackFailed, KeyboardInterrupt):
            with suppress(VecstoreError):  # or the server would go on with it
                self._client.pipeline([("FT.DROPINDEX", name), ("HDEL", hash_, "next")], writes=True)
            raise
        self._client.execute("EVAL", REPLACE_INDEX.text, 1, hash_, name, kind, writes=True)
        self._guard.read(generation)
        if on_progress and graph:
            on_progress("indexing", count, count)

    def _start_build(self, generation: Generation, wanted: IndexOptions) -> str:
        """Make an index, which the server then fills; return its name."""
        hash_ = self._keys.generation(generation.id)
        abandoned = self._client.execute("HGET", hash_, "next")
        if abandoned is not None:  # by a build that was killed
            self._client.pipeline([("FT.DROPINDEX", abandoned)], writes=True)
        number = int(self._client.execute("HINCRBY", hash_, "indexes", 1, writes=True))
        name = self._keys.index(generation.id, number)
        self._client.execute("HSET", hash_, "next", name, writes=True)
        records = self._keys.records(generation.id)
        self._client.execute(*make_index_command(name, records, generation.schema, wanted), writes=True)
        return name

    def _wait_for_build(self, generation: Generation, name: str, on_progress: Progress | None) -> int:
        """Wait until a new index is complete; return the number of records.

        Raises
        ------
        IndexNotReady, StoreCorrupt
        """
        done = 0
        while True:
            info, count = self._guard.read_index(generation, name)
            if info is None:
                raise IndexNotReady("The index that was being built is missing on the server. Run reindex() again.")
            if info.complete:
                break
            if on_progress and info.records > done:
                done = info.records
                on_progress("indexing", min(done, count), count)
            self._client.wait(_PAUSE)
        if info.records != count:
            raise StoreCorrupt(
                f"The new index holds {info.records:,} hashes but the store has {count:,} records, so the old one "
                f"stays. {MENDING}"
            )
        return count
