"""Compactions in two steps, and what one looks at after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.file.samples import Store
from vecstore.backends.file.state.open_generation import Volume
from vecstore.backends.file.state.snapshot import Snapshot
from vecstore.backends.file.vectors import compaction
from vecstore.backends.file.vectors.compaction import copied, exchange
from vecstore.backends.file.vectors.compaction_policy import Policy, everything

SMALL = Policy(max_segments=3, max_hot_rows=20, max_dead_share=0.2, min_dead=10, max_removals=50)
NEVER = Policy(10**6, 10**6, 1 << 40, 1.0, 10**6, 10**6)


def volume_of(store: Store) -> Volume:
    return store.backend._generations.of(store.active)


def newest(store: Store) -> Snapshot:
    with volume_of(store).pool.link() as link:
        return volume_of(store).snapshot(link)


def segments(store: Store) -> list[Path]:
    return sorted((store.place / "g" / store.active.id / "seg").iterdir())


def dead(store: Store) -> int:
    return newest(store).ledger.tables["dead"].count


@contextmanager
def compacting(store: Store) -> Iterator[None]:
    """Do a compaction in two steps, and what is in the context between them."""
    volume = volume_of(store)
    with volume.kept(patiently=False):
        snapshot = newest(store)
        run = everything(compaction._sizes(snapshot))
        assert run is not None
        copy = copied(volume, snapshot, run)
        yield
        exchange(volume, copy, lambda: None)
