"""What `fetch`, `page`, `count` and the others read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Change, Include, Rows
from vecstore.errors import StoreCorrupt
from vecstore.filters.nodes import Filter

from ..filters import mask
from ..storage.connections import Link
from .open_generation import Volume
from .rows import Values, vector_crc
from .snapshot import Snapshot

T = TypeVar("T")

_ALL: Include = frozenset({"text", "metadata", "vector"})
_LOOKS = 5
_OFTEN = 1_000
"""More rows than these, read at once, are not kept: they would take the place of those that are asked for often."""


class _Vanished(Exception):
    """A row of the snapshot was removed by a later commit, or damage hides it."""


def fetch(volume: Volume, ids: Sequence[str]) -> Rows:
    """Return the records of ids; see `Backend.fetch`."""

    def read(link: Link, snapshot: Snapshot) -> Rows:
        view = snapshot.columns
        positions = view.positions(dict.fromkeys(ids))
        return _rows(volume, link, snapshot, view.rids[positions[positions >= 0]], _ALL)

    return steadily(volume, read, view=True)


def page(volume: Volume, where: Filter | None, after: str | None, limit: int) -> Rows:
    """Return the next matching records in the order of ids; see `Backend.page`."""

    def read(link: Link, snapshot: Snapshot) -> Rows:
        view = snapshot.columns
        order = view.columns.order(view.size)
        start = 0 if after is None else bisect_right(order, after, key=view.columns.ids.__getitem__)
        rest = order[start:]
        if len(order) > view.size:
            rest = rest[rest < view.size]
        matching = rest[mask(where, view)[rest]][:limit]
        return _rows(volume, link, snapshot, view.rids[matching], _ALL)

    return steadily(volume, read, view=True)


def sample(volume: Volume, where: Filter | None, size: int) -> Rows:
    """Return matching records spread evenly over the order of ids; see `Backend.sample`."""

    def read(link: Link, snapshot: Snapshot) -> Rows:
        view = snapshot.columns
        order = view.columns.order(view.size)
        if len(order) > view.size:
            order = order[order < view.size]
        matching = order[mask(where, view)[order]]
        if len(matching) > size:
            matching = matching[np.arange(size) * len(matching) // size]
        return _rows(volume, link, snapshot, view.rids[matching], _ALL)

    return steadily(volume, read, view=True)


def count(volume: Volume, where: Filter | None) -> int:
    """Return how many records match; see `Backend.count`."""

    def read(_link: Link, snapshot: Snapshot) -> int:
        if where is None:
            return snapshot.ledger.tables["rows"].count
        return int(np.count_nonzero(mask(where, snapshot.columns)))

    return steadily(volume, read, view=where is not None)


def changes(volume: Volume, limit: int) -> list[Change]:
    """Return the oldest noted changes; see `Backend.changes`."""
    with volume.pool.link() as link:
        notes = volume.register(link, "changes").notes.values()
    return [Change(note.seq, note.id) for note in islice(notes, limit)]


def tombstones(volume: Volume, after: str | None, limit: int) -> dict[str, int]:
    """Return versions of removed records in the order of ids; see `Backend.tombstones`."""
    with volume.pool.link() as link:
        register = volume.register(link, "tombstones")
    start = 0 if after is None else bisect_right(register.ids, after)
    return {id_: register.notes[id_].version for id_ in register.ids[start : start + limit]}


def steadily(volume: Volume, read: Callable[[Link, Snapshot], T], *, view: bool) -> T:
    """Read from the newest state, again where commits meanwhile removed what was found, at last with writers waiting.

    Raises
    ------
    StoreCorrupt
    """
    for _ in range(_LOOKS):
        with volume.pool.link() as link:
            try:
                return read(link, volume.snapshot(link, view=view))
            except _Vanished:
                continue
    with volume.pool.link() as link, volume.pinned(link, view=view) as snapshot:
        try:
            return read(link, snapshot)
        except _Vanished as error:
            raise StoreCorrupt(
                f"{volume.paths.rows}: stored rows are missing. Restore the directory from a backup."
            ) from error


def fetched(volume: Volume, link: Link, rids: NDArray[np.int64], *, whole: bool) -> list[Values]:
    """Return rows in the order of rids.

    A row never changes, so that one that is still there is that of the snapshot, whatever was committed since.
    """
    wanted = rids.tolist()
    rows = volume.form.fetch(link, wanted, volume.paths.rows, whole=whole)
    if len(rows) < len(wanted):
        raise _Vanished
    return [rows[rid] for rid in wanted]


def looked_up(volume: Volume, link: Link, rids: Sequence[int], *, whole: bool) -> list[Values]:
    """Return rows in the order of rids as `fetched` does, those that were read lately without SQLite."""
    rows = volume.recent.known(rids)
    if len(rows) < len(rids):
        missing = [rid for rid in rids if rid not in rows]
        read = volume.form.fetch(link, missing, volume.paths.rows, whole=whole)
        if len(read) < len(missing):
            raise _Vanished
        rows.update(read)
        if whole and len(read) <= _OFTEN:
            volume.recent.keep(read.values())
    return [rows[rid] for rid in rids]


def _rows(volume: Volume, link: Link, snapshot: Snapshot, rids: NDArray[np.int64], include: Include) -> Rows:
    return assembled(volume, snapshot, fetched(volume, link, rids, whole=True), rids, include)


def assembled(
    volume: Volume, snapshot: Snapshot, rows: Sequence[Values], rids: NDArray[np.int64], include: Include
) -> Rows:
    """Return fetched rows as columns, those that are asked for."""
    size = volume.form.head_size
    metadata = "metadata" in include
    return Rows(
        ids=[row[1] for row in rows],
        vectors=_vectors(volume, snapshot, rows, rids) if "vector" in include else None,
        texts=[row[size + 1] for row in rows] if "text" in include else None,
        fields=volume.form.decoded(rows) if metadata else None,
        extras=[row[size] for row in rows] if metadata else None,
        versions=[row[2] for row in rows],
    )


def _vectors(volume: Volume, snapshot: Snapshot, rows: Sequence[Values], rids: NDArray[np.int64]) -> NDArray[Any]:
    vectors = snapshot.vectors.gather(rids)
    for row, vector in zip(rows, vectors, strict=True):
        if vector_crc(vector) != row[4]:
            raise StoreCorrupt(
                f"{volume.paths.root}: the vector of row {row[0]} is damaged. Restore the directory from a backup."
            )
    return vectors
