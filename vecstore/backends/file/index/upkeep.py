"""How a generation's index is built, extended or removed, and how the ledger comes to name it."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

from vecstore.backend import Generation, HeldOut, Measure, Progress
from vecstore.errors import StorageError, StoreCorrupt, StoreLocked
from vecstore.index_options import HNSW, IndexOptions

from ...shared.index_policy import choose_graph
from ..search.graph import Graph
from ..state.garbage import remove_unnamed_indexes
from ..state.ledger import Ledger
from ..state.open_generation import OpenGeneration
from ..state.rows import Values
from ..state.snapshot import Snapshot
from ..storage import os_calls
from ..storage.failures import translate_errors
from . import index_file, row_copies
from .carried import carry_graph
from .graph_build import TooLarge, build_graph, extend_graph
from .held_out import draw_waiting, withhold_rows
from .index_file import IndexRow
from .index_policy import Need, assess_need, has_doubled, may_need_upkeep
from .stored_rows import Run, read_stored_rows

_RUN = 1_024
"""Rows that are copied in one step."""

Check = Callable[[], object]
"""Called under the writer's lock; raises the error if the write is no longer possible."""


@dataclass(frozen=True, slots=True)
class BuildHooks:
    """Whom a build asks and tells: whether it may still commit, how far it is, and what its graph finds."""

    check: Check
    on_progress: Progress | None = None
    measure: Measure | None = None

    def make_report(self, total: int, before: int = 0) -> Callable[[int], None]:
        """Return a function that tells how many rows a graph has; ``before`` of them are not counted."""

        def report(done: int) -> None:
            if self.on_progress:
                self.on_progress("indexing", done - before, total)

        return report


def tend(opened: OpenGeneration, generation: Generation, least: int, hooks: BuildHooks) -> bool:
    """Do what the index needs, unless another process is doing it; return whether to calibrate it.

    ``generation`` is as the catalogue has it now.
    """
    known, options = opened.committed, generation.schema.index
    # Whoever built the index may have been killed before it was calibrated.
    is_uncalibrated = isinstance(options, HNSW) and generation.ef is None and generation.calibration is None
    # A process that committed since then takes care of its own changes.
    if known and not may_need_upkeep(options, known, least) and not _is_lost(opened, known):
        return is_uncalibrated and known.index is not None
    snapshot = opened.read_newest_snapshot()
    if _find_need(opened, snapshot, options, least) is Need.NOTHING:
        return is_uncalibrated and snapshot.ledger.index is not None
    with contextlib.suppress(StoreLocked), opened.lock_upkeep(wait=False):
        snapshot = opened.read_newest_snapshot()
        before = snapshot.ledger.index
        need = _find_need(opened, snapshot, options, least)
        if need is Need.NOTHING:
            return False
        wanted = choose_graph(options, least, least, before["ef_construction"] if before else None)
        _satisfy(opened, snapshot, wanted, need, hooks)
        # Until a graph has doubled, its present effort gives about the same recall.
        after = opened.read_newest_snapshot().ledger.index
        return need is Need.BUILDING or has_doubled(before, after) or (is_uncalibrated and after is not None)
    return False


def build(opened: OpenGeneration, options: IndexOptions, hooks: BuildHooks, ef_construction: int | None = None) -> None:
    """Build the index anew, however few the rows, or remove it; see `Backend.build_index`."""
    with opened.lock_upkeep(wait=True):
        snapshot = opened.read_newest_snapshot()
        rows = snapshot.ledger.vectors
        wanted = choose_graph(options, rows, 1, ef_construction)
        need = Need.BUILDING if wanted else Need.REMOVAL if snapshot.ledger.index else Need.NOTHING
        _satisfy(opened, snapshot, wanted, need, hooks)


def carry(opened: OpenGeneration, source: OpenGeneration, options: IndexOptions, hooks: BuildHooks) -> bool:
    """Take over the graph of another generation; see `Backend.carry_index`."""
    if not isinstance(options, HNSW):
        return False

    def reserve(count: int) -> int:
        with opened.lock_writer() as held:
            hooks.check()
            with opened.begin_locked(held, whole=False) as transaction:
                return transaction.ledger.take("rid", count)

    with opened.lock_upkeep(wait=True):
        snapshot = opened.read_newest_snapshot(view=True)
        report = hooks.make_report(snapshot.ledger.vectors)
        graph = carry_graph(source, snapshot, options, reserve, report)
        if graph is None:
            return False
        remove_unnamed_indexes(opened, snapshot)
        _publish(opened, graph, hooks.check)
    return True


def refresh(opened: OpenGeneration, options: IndexOptions, hooks: BuildHooks) -> bool:
    """Rebuild an index that contains removed rows; return whether it was rebuilt."""
    snapshot = opened.read_newest_snapshot()
    if snapshot.ledger.index is None or not isinstance(options, HNSW):
        return False
    row = IndexRow(**snapshot.ledger.index)
    if row.n == snapshot.ledger.vectors - snapshot.vectors.count_after(row.last):
        return False
    build(opened, options, hooks, row.ef_construction)
    return True


@contextlib.contextmanager
def hold_waiting(opened: OpenGeneration, generation: Generation) -> Iterator[HeldOut | None]:
    """Give rows that the graph lacks; nothing is compacted meanwhile. See `Backend.hold_waiting`."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(opened.lock_upkeep(wait=False))
        except StoreLocked:
            yield None
            return
        index, snapshot = generation.schema.index, opened.read_newest_snapshot()
        yield draw_waiting(opened, snapshot) if snapshot.ledger.index and isinstance(index, HNSW) else None


def _find_need(opened: OpenGeneration, snapshot: Snapshot, options: IndexOptions, least: int) -> Need:
    index = snapshot.ledger.index
    row = IndexRow(**index) if index and not _is_lost(opened, snapshot.ledger) else None
    tail = snapshot.vectors.count_after(row.last) if row else 0
    return assess_need(options, row, snapshot.ledger.vectors, tail, least)


def _is_lost(opened: OpenGeneration, ledger: Ledger) -> bool:
    """Say whether the index that the ledger names is missing, or known to be damaged."""
    if ledger.index is None:
        return False
    row = IndexRow(**ledger.index)
    path = opened.paths.locate_index(row.uid)
    with translate_errors(path):
        return os_calls.read_identity(path) is None or opened.index_cache.is_unreadable(row)


def _satisfy(
    opened: OpenGeneration,
    snapshot: Snapshot,
    wanted: HNSW | None,
    need: Need,
    hooks: BuildHooks,
) -> None:
    """Do what the index needs; the caller holds the lock for upkeep."""
    if need is Need.NOTHING:
        return
    remove_unnamed_indexes(opened, snapshot)
    if need is Need.REMOVAL or wanted is None:
        _commit(opened, None, hooks.check)
        return
    grown = _extend_graph(opened, snapshot, wanted, hooks) if need is Need.GROWING else None
    _publish(opened, grown or _build_graph(opened, snapshot, wanted, hooks), hooks.check)


def _publish(opened: OpenGeneration, graph: Graph, check: Check) -> None:
    """Write a graph with copies of its rows, and commit it."""
    uid = uuid.uuid4().hex
    with translate_errors(opened.paths.indexes):
        # A copied directory may lack empty folders.
        os_calls.make_directory(opened.paths.indexes)
        _copy_rows(opened, uid, graph)
        row = index_file.write(opened.paths.locate_index(uid), opened.id, graph)
    _commit(opened, row, check)
    opened.index_cache.keep_graph(uid, graph)


def _copy_rows(opened: OpenGeneration, uid: str, graph: Graph) -> None:
    """Write copies of the graph's rows beside it, unless a row is damaged: then they are read where they were."""

    def runs() -> Iterator[Mapping[int, Values]]:
        for start in range(0, len(graph), _RUN):
            some = graph.rids[start : start + _RUN].tolist()
            with opened.pool.check_out() as connection:
                yield opened.row_format.fetch(connection, some, opened.paths.rows, whole=True)

    with contextlib.suppress(StoreCorrupt):
        row_copies.write(opened.paths.locate_copies(uid), opened.id, graph.rids, runs())


def _commit(opened: OpenGeneration, row: IndexRow | None, check: Check) -> None:
    """Commit the new index file, or none, and remove the old one."""
    with opened.lock_writer() as held:
        check()
        with opened.begin_locked(held, whole=False) as transaction:
            old = transaction.ledger.index
            transaction.ledger.index = asdict(row) if row else None
    if old:
        with contextlib.suppress(OSError):
            os_calls.unlink(opened.paths.locate_index(old["uid"]))
            os_calls.unlink(opened.paths.locate_copies(old["uid"]))


def _build_graph(opened: OpenGeneration, snapshot: Snapshot, options: HNSW, hooks: BuildHooks) -> Graph:
    total = snapshot.ledger.vectors
    report = hooks.make_report(total)
    report(0)

    def runs() -> Iterator[Run]:
        return read_stored_rows(snapshot.vectors.parts)

    schema, last = opened.schema, _get_last_rid(snapshot)
    withheld = withhold_rows(opened, snapshot, options, hooks.measure)
    return build_graph(schema.metric, schema.width, options, runs, last, report, total, withheld)


def _extend_graph(opened: OpenGeneration, snapshot: Snapshot, options: HNSW, hooks: BuildHooks) -> Graph | None:
    """Return the graph with its missing rows added, None if it must be rebuilt."""
    row = IndexRow(**(snapshot.ledger.index or {}))
    missing, parts = snapshot.vectors.count_after(row.last), snapshot.vectors.list_after(row.last)
    report = hooks.make_report(missing, row.n)

    def runs() -> Iterator[Run]:
        return read_stored_rows(parts)

    doubles = has_doubled({"n": row.n}, {"n": row.n + missing})
    withheld = withhold_rows(opened, snapshot, options, hooks.measure, row.last) if doubles else None
    try:
        with translate_errors(opened.paths.indexes):
            graph = index_file.read(
                opened.paths.locate_index(row.uid), opened.id, row, opened.schema.metric, growing=True
            )
        return extend_graph(graph, runs, _get_last_rid(snapshot), report, missing, withheld)
    except (StorageError, TooLarge):
        return None


def _get_last_rid(snapshot: Snapshot) -> int:
    """Return the highest rid ever assigned."""
    return snapshot.ledger.next["rid"] - 1
