"""What `fetch`, `page`, `count` and `search` read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...backend import Change, Found, Include, Rows, Search
from ...errors import StoreCorrupt
from ...filters import Filter
from .connections import Link
from .mask import mask
from .rowform import Values, vector_crc
from .scan import nearest
from .vectors import Part
from .volume import Snapshot, Volume

T = TypeVar("T")

_ALL: Include = frozenset({"text", "metadata", "vector"})
_LOOKS = 5


class _Vanished(Exception):
    """A row of the snapshot was removed by a later commit, or damage hides it."""


def fetch(volume: Volume, ids: Sequence[str]) -> Rows:
    """Return the records of ids; see `Backend.fetch`."""

    def read(link: Link, snapshot: Snapshot) -> Rows:
        view = snapshot.columns
        positions = view.positions(dict.fromkeys(ids))
        return _rows(volume, link, snapshot, view.rids[positions[positions >= 0]], _ALL)

    return _steadily(volume, read, view=True)


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

    return _steadily(volume, read, view=True)


def count(volume: Volume, where: Filter | None) -> int:
    """Return how many records match; see `Backend.count`."""

    def read(_link: Link, snapshot: Snapshot) -> int:
        if where is None:
            return snapshot.ledger.tables["rows"].count
        return int(np.count_nonzero(mask(where, snapshot.columns)))

    return _steadily(volume, read, view=where is not None)


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


def search(volume: Volume, wanted: Search) -> list[Found]:
    """Return the nearest records of each query; see `Backend.search`."""
    if not len(wanted.queries):
        return []

    def read(link: Link, snapshot: Snapshot) -> list[Found]:
        parts = snapshot.vectors.parts
        if wanted.where is not None:
            view = snapshot.columns
            parts = _restricted(parts, view.rids[mask(wanted.where, view)])

        def ids_of(rids: NDArray[np.int64]) -> list[str]:
            return [row[1] for row in _fetched(volume, link, rids, whole=False)]

        answers = nearest(volume.schema.metric, parts, wanted.queries, wanted.k, ids_of)
        together = np.unique(np.concatenate([rids for rids, _ in answers]))
        whole = bool({"text", "metadata"} & wanted.include)
        known = dict(zip(together.tolist(), _fetched(volume, link, together, whole=whole), strict=True))
        return [
            Found(
                _assembled(volume, snapshot, [known[rid] for rid in rids.tolist()], rids, wanted.include),
                scores,
                exact=True,
            )
            for rids, scores in answers
        ]

    return _steadily(volume, read, view=wanted.where is not None)


def _steadily(volume: Volume, read: Callable[[Link, Snapshot], T], *, view: bool) -> T:
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


def _restricted(parts: Sequence[Part], rids: NDArray[np.int64]) -> list[Part]:
    """Return the parts with only some rows alive; parts with none of them are left out."""
    found = []
    for part in parts:
        places, inside = part.places_of(rids)
        if inside.any():
            alive = np.zeros(len(part.vectors), np.bool_)
            alive[places[inside]] = True
            found.append(Part(part.vectors, part.norms, part.rids, alive & part.alive, part.touch))
    return found


def _fetched(volume: Volume, link: Link, rids: NDArray[np.int64], *, whole: bool) -> list[Values]:
    """Return rows in the order of rids.

    A row never changes, so that one that is still there is that of the snapshot, whatever was committed since.
    """
    wanted = rids.tolist()
    rows = volume.form.fetch(link, wanted, volume.paths.rows, whole=whole)
    if len(rows) < len(wanted):
        raise _Vanished
    return [rows[rid] for rid in wanted]


def _rows(volume: Volume, link: Link, snapshot: Snapshot, rids: NDArray[np.int64], include: Include) -> Rows:
    return _assembled(volume, snapshot, _fetched(volume, link, rids, whole=True), rids, include)


def _assembled(
    volume: Volume, snapshot: Snapshot, rows: Sequence[Values], rids: NDArray[np.int64], include: Include
) -> Rows:
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
