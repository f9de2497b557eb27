"""Compactions in two steps, and helpers to inspect the result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.file.samples import Store
from vecstore.backends.file.state.open_generation import OpenGeneration
from vecstore.backends.file.state.snapshot import Snapshot
from vecstore.backends.file.vectors import compaction
from vecstore.backends.file.vectors.compaction import exchange, merge_segments
from vecstore.backends.file.vectors.compaction_policy import CompactionPolicy, select_all

SMALL = CompactionPolicy(max_segments=3, max_memtable_rows=20, max_dead_share=0.2, min_dead=10, max_removals=50)
NEVER = CompactionPolicy(10**6, 10**6, 1 << 40, 1.0, 10**6, 10**6)


def open_generation(store: Store) -> OpenGeneration:
    return store.backend._generations.open(store.active)


def read_newest(store: Store) -> Snapshot:
    with open_generation(store).pool.check_out() as connection:
        return open_generation(store).read_snapshot(connection)


def list_segments(store: Store) -> list[Path]:
    return sorted((store.place / "g" / store.active.id / "seg").iterdir())


def count_dead(store: Store) -> int:
    return read_newest(store).ledger.tables["dead"].count


@contextmanager
def compact_in_two_steps(store: Store) -> Iterator[None]:
    """Compact in two steps, and run the context between them."""
    opened = open_generation(store)
    with opened.lock_upkeep(wait=False):
        snapshot = read_newest(store)
        merge_range = select_all(compaction._measure(snapshot))
        assert merge_range is not None
        copy = merge_segments(opened, snapshot, merge_range)
        yield
        exchange(opened, copy, lambda: None)
