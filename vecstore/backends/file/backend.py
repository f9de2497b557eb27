"""The file backend: catalogue, generations and records of a directory, behind the contract."""

# Longer than 300 lines because one class implements the whole contract.

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

from vecstore.backend import (
    EVERYTHING,
    Backend,
    Change,
    Entry,
    Found,
    Generation,
    HeldOut,
    Include,
    IndexState,
    Measure,
    Progress,
    Rows,
    Search,
    Selection,
    Stats,
    Update,
    Verification,
)
from vecstore.capabilities import Capabilities
from vecstore.errors import StorageError, StoreNotFound
from vecstore.fields import Stored
from vecstore.filters.nodes import Filter
from vecstore.logs import log_step
from vecstore.urls import read_path

from ..shared.guards import check_usable
from .backup import backup, check_places
from .generation_lifecycle import create, drop, switch
from .index import upkeep
from .index.upkeep import BuildHooks
from .options import Options, parse_options
from .search.hits import needs_view
from .search.search import find_nearest
from .state import reads, writes
from .state.change_list import read_changes, settle_changes
from .state.open_generation import OpenGeneration
from .state.open_generations import OpenGenerations
from .state.retries import Reading
from .state.tombstones import read_tombstones
from .state.transaction import WriteTransaction
from .stats import collect_stats, read_index_state
from .storage import lock
from .storage.catalogue_file import CatalogueFile
from .storage.failures import translate_errors
from .storage.layout import DirectoryLayout
from .vectors import compaction
from .verify import verify_generation


class FileBackend(Backend):
    """A directory; any number of processes, one write at a time per generation."""

    capabilities = Capabilities(backend="file", max_dim=16_000, max_hnsw_dim=16_000)
    computes_here = True

    def __init__(self, layout: DirectoryLayout, options: Options) -> None:
        self.capabilities = replace(self.capabilities, read_only=options.read_only)
        self._layout = layout
        self._options = options
        self._catalog = CatalogueFile(layout, options)
        self._generations = OpenGenerations(layout, options, self._catalog)
        self._process = os.getpid()
        self._is_open = True

    @classmethod
    def connect(cls, location: str, options: Mapping[str, str]) -> FileBackend:
        """Open a directory, which need not exist yet; nothing is written.

        Raises
        ------
        InvalidUrl, StoreCorrupt, Unsupported
        """
        backend = cls(DirectoryLayout(read_path(location, "file")), parse_options(options))
        try:
            backend._catalog.read()
        except BaseException:
            backend.close()
            raise
        return backend

    # -- catalogue

    def names(self) -> list[str]:
        self._check_usable()
        return self._catalog.read().list_names()

    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        self._check_usable()
        catalogue = self._catalog.read()
        if name is not None and not catalogue.entries and not self._layout.catalog.exists():
            raise StoreNotFound(name, missing=str(self._layout.root))
        return catalogue.find_by_name(name) if name is not None else catalogue.find_by_uid(uid or "")

    def create(self, name: str, generation: Generation) -> Entry:
        self._check_writable()
        if generation.standby:
            self._catalog.read().find_by_name(name)
        with self._catalog.edit() as edit:
            return create(self._layout, self._options, edit, name, generation, self._generations.open)

    def rename(self, uid: str, name: str) -> None:
        self._check_writable()
        self._catalog.read().find_by_uid(uid)
        with self._catalog.edit() as edit:
            entry = edit.before.find_by_uid(uid)
            edit.before.check_free(name)
            edit.put(replace(entry, name=name))

    def drop(self, uid: str, generation: str | None = None) -> None:
        self._check_writable()
        self._catalog.read().find_by_uid(uid)
        with self._catalog.edit() as edit:
            drop(self._layout, edit, edit.before.find_by_uid(uid), generation, self._generations.open)
        # The drop has happened, even where the catalogue cannot be read now.
        with contextlib.suppress(StorageError):
            self._generations.close_dropped()

    def amend(self, generation: Generation) -> None:
        self._check_writable()
        self._catalog.read().replace_generation(generation)
        with self._catalog.edit() as edit:
            edit.put(edit.before.replace_generation(generation))

    def builder(self, uid: str) -> AbstractContextManager[None]:
        return self._building(uid)

    @contextmanager
    def _building(self, uid: str) -> Iterator[None]:
        self._check_writable()
        entry = self.find(uid=uid)
        with lock.hold_lock(
            self._layout.locate_builder_lock(uid), 0, f"is rebuilding, copying or loading store {entry.name!r}"
        ):
            yield

    def switch(self, uid: str, standby: str, drain: Callable[[Sequence[Change]], None]) -> Entry:
        self._check_writable()
        self._catalog.read().find_by_uid(uid)
        with self._catalog.edit() as edit:
            return switch(self._layout, edit, edit.before.find_by_uid(uid), standby, drain, self._generations.open)

    # -- records

    def write(self, generation: Generation, rows: Rows, *, insert: bool, fence: Sequence[int] | None = None) -> int:
        with self._writing(generation) as transaction:
            return writes.write(transaction, rows, fence, insert=insert)

    def write_groups(self, generation: Generation, rows: Rows, fences: Mapping[str, int]) -> int:
        with self._writing(generation) as transaction:
            return writes.write_groups(transaction, rows, fences)

    def update(self, generation: Generation, selection: Selection, update: Update) -> int:
        with self._writing(generation) as transaction:
            return writes.update(transaction, selection, update)

    def delete(self, generation: Generation, selection: Selection, fence: Sequence[int] | None = None) -> int:
        with self._writing(generation) as transaction:
            return writes.delete(transaction, selection, fence)

    def changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        if settled:
            with self._writing(generation) as transaction:
                settle_changes(transaction, settled)
        with self._open_current(generation) as (opened, _):
            return read_changes(opened, limit)

    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        reading = self._begin_reading(generation)
        while True:
            with reading.attempt(view=True) as reader:
                return reads.fetch(reader, ids)

    def page(
        self, generation: Generation, where: Filter | None, after: str | None, limit: int, include: Include = EVERYTHING
    ) -> Rows:
        reading = self._begin_reading(generation)
        while True:
            with reading.attempt(view=True) as reader:
                return reads.page(reader, where, after, limit, include)

    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        reading = self._begin_reading(generation)
        while True:
            with reading.attempt(view=True) as reader:
                return reads.sample(reader, where, size)

    def find_without_vector(self, generation: Generation, limit: int) -> list[str]:
        reading = self._begin_reading(generation)
        while True:
            with reading.attempt(view=True) as reader:
                return reads.find_without_vector(reader, limit)

    def count(self, generation: Generation, where: Filter | None) -> int:
        reading = self._begin_reading(generation)
        while True:
            with reading.attempt(view=where is not None) as reader:
                return reads.count(reader, where)

    def values(
        self, generation: Generation, field: str, where: Filter | None, limit: int | None
    ) -> list[tuple[Stored, int]]:
        reading = self._begin_reading(generation)
        while True:
            with reading.attempt(view=True) as reader:
                return reads.count_values(reader, field, where, limit)

    def search(self, generation: Generation, search: Search) -> list[Found]:
        reading = self._begin_reading(generation)
        while True:
            with reading.attempt(view=needs_view(search)) as reader:
                return find_nearest(reader, search, reading.generation)

    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        with self._open_current(generation) as (opened, _):
            return read_tombstones(opened, after, limit)

    # -- upkeep

    def build_index(
        self,
        generation: Generation,
        on_progress: Progress | None = None,
        measure: Measure | None = None,
        ef_construction: int | None = None,
    ) -> None:
        with self._keeping(generation) as (opened, _, check):
            upkeep.build(opened, generation.schema.index, BuildHooks(check, on_progress, measure), ef_construction)

    def carry_index(self, source: Generation, target: Generation, on_progress: Progress | None = None) -> bool:
        with self._keeping(target) as (opened, current, check), self._open_current(source) as (known, _):
            return upkeep.carry(opened, known, current.schema.index, BuildHooks(check, on_progress))

    def compact(
        self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None
    ) -> bool:
        with self._keeping(generation) as (opened, current, check):
            compaction.compact(opened, check, on_progress)
            return upkeep.refresh(opened, current.schema.index, BuildHooks(check, on_progress, measure))

    def tend(self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None) -> bool:
        with self._keeping(generation) as (opened, current, check):
            began = time.perf_counter()
            if compaction.tend(opened, check, on_progress=on_progress):
                log_step("upkeep", "generation %s compacted in %.1f s", generation.id, time.perf_counter() - began)
            return upkeep.tend(opened, current, self._options.index_min_rows, BuildHooks(check, on_progress, measure))

    def hold_waiting(self, generation: Generation) -> AbstractContextManager[HeldOut | None]:
        self._check_writable()
        return upkeep.hold_waiting(*self._generations.open_current(generation))

    def backup(self, target: str) -> None:
        self._check_writable()
        path = check_places(self._layout, target)
        with self._catalog.edit() as edit:
            backup(self._layout.catalog, path, edit, self._options, self._generations.open)

    def index_state(self, generation: Generation) -> IndexState:
        with self._open_current(generation) as (opened, current):
            return read_index_state(opened, current.schema.index, self._options.index_min_rows)

    def stats(self, generation: Generation) -> Stats:
        with self._open_current(generation) as (opened, _):
            return collect_stats(opened)

    def verify(self, generation: Generation) -> Verification:
        self._check_usable()
        self._generations.find_current(generation)
        return verify_generation(self._layout, self._options, generation)

    def close(self) -> None:
        self._is_open = False
        if os.getpid() == self._process:
            self._catalog.close()
            self._generations.close()

    def __del__(self, is_exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        # Newer Pythons warn of connections that are not closed. At exit, modules may be gone before this object.
        if hasattr(self, "_is_open") and not is_exiting():
            self.close()

    # -- parts

    def _check_usable(self) -> None:
        check_usable(self._process, closed=not self._is_open)

    def _check_writable(self) -> None:
        self._check_usable()
        self.capabilities.check_writable()

    def _begin_reading(self, generation: Generation) -> Reading:
        self._check_usable()
        return Reading(*self._generations.open_current(generation), self._generations)

    @contextmanager
    def _open_current(self, generation: Generation) -> Iterator[tuple[OpenGeneration, Generation]]:
        """Give an open generation, and the generation as the catalogue has it now."""
        self._check_usable()
        opened, current = self._generations.open_current(generation)
        with self._unless_superseded(generation), translate_errors(opened.paths.root):
            yield opened, current

    @contextmanager
    def _writing(self, generation: Generation) -> Iterator[WriteTransaction]:
        self._check_writable()

        def takes_notes() -> bool:
            entry = self._generations.find_current(generation)
            return not generation.standby and entry.standby is not None

        with (
            self._unless_superseded(generation),
            self._generations.open(generation).begin_transaction(takes_notes) as transaction,
        ):
            yield transaction

    @contextmanager
    def _keeping(self, generation: Generation) -> Iterator[tuple[OpenGeneration, Generation, Callable[[], object]]]:
        """Give an open generation for upkeep, what the catalogue says of it, and the check under the writer's lock."""
        self._check_writable()
        opened, current = self._generations.open_current(generation)
        with self._unless_superseded(generation):
            yield opened, current, partial(self._generations.find_current, generation)

    @contextmanager
    def _unless_superseded(self, generation: Generation) -> Iterator[None]:
        """Raise `Superseded` where files are missing because the generation was dropped meanwhile."""
        try:
            yield
        except (StorageError, StoreNotFound):
            self._generations.find_current(generation)
            raise
