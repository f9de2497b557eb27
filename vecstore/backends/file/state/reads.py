"""Reading the rows of a generation: `fetch`, `page`, `count` and so on, and the retry loop that searches share."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Change, Generation, Include, Rows, Search
from vecstore.errors import StorageError, StoreCorrupt, StoreNotFound
from vecstore.filters.nodes import Filter

from ..filters import match_rows
from ..storage.checksums import checksum_vector
from ..storage.connections import SqliteConnection
from ..storage.failures import DRIVER_ERRORS, translate_error
from .open_generation import OpenGeneration
from .open_generations import OpenGenerations
from .rows import Values
from .snapshot import Snapshot

_ALL: Include = frozenset({"text", "metadata", "vector"})
_ATTEMPTS = 5
_IDS = 2_000
"""For more hits than this, loading all ids is faster than reading rows."""


class _Vanished(Exception):
    """A row of the snapshot was removed by a later commit, or damage hides it."""


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """One commit of a generation, and a connection to read its rows.

    A row never changes, so one that still exists is the row of the snapshot, whatever was committed since.
    """

    opened: OpenGeneration
    connection: SqliteConnection
    snapshot: Snapshot

    def read_rows(self, rids: Sequence[int], *, whole: bool) -> list[Values]:
        """Return rows in the order of rids."""
        rows = self.opened.row_format.fetch(self.connection, rids, self.opened.paths.rows, whole=whole)
        if len(rows) < len(rids):
            raise _Vanished
        return [rows[rid] for rid in rids]

    def gather_vectors(self, rows: Sequence[Values], rids: NDArray[np.int64]) -> NDArray[Any]:
        """Return the vectors of rows, checked."""
        vectors = self.snapshot.vectors.gather(rids)
        for row, vector in zip(rows, vectors, strict=True):
            if checksum_vector(vector) != row[4]:
                raise StoreCorrupt(
                    f"{self.opened.paths.root}: the vector of row {row[0]} is damaged. "
                    "Restore the directory from a backup."
                )
        return vectors


@dataclass(slots=True, eq=False)
class Reading:
    """One call that reads a generation; it retries if a concurrent commit removed a row.

    ::

        reading = Reading(*generations.open_current(generation), generations)
        while True:
            with reading.attempt(view=True) as reader:
                return …

    An attempt reads the newest snapshot. If one of its rows has vanished, the context ends without an error, and the
    caller's loop makes another attempt. The last attempt blocks writers.

    Attributes
    ----------
    opened : OpenGeneration
    generation : Generation
        Its current description in the catalogue.
    """

    opened: OpenGeneration
    generation: Generation
    _generations: OpenGenerations
    _attempts: int = 0

    @contextmanager
    def attempt(self, *, view: bool) -> Iterator[Reader]:
        """Give a reader of the newest commit, with ids and fields if ``view`` is true.

        Raises
        ------
        StorageError, StoreNotFound
        Superseded
            The generation was dropped or replaced in the meantime.
        """
        opened = self.opened
        self._attempts += 1
        try:
            try:
                with opened.pool.check_out() as connection:
                    if self._attempts <= _ATTEMPTS:
                        yield Reader(opened, connection, opened.read_snapshot(connection, view=view))
                    else:
                        with opened.pin_snapshot(connection, view=view) as snapshot:
                            yield Reader(opened, connection, snapshot)
            except _Vanished as error:
                if self._attempts > _ATTEMPTS:
                    raise StoreCorrupt(
                        f"{opened.paths.rows}: stored rows are missing. Restore the directory from a backup."
                    ) from error
            except DRIVER_ERRORS as error:
                raise translate_error(error, str(opened.paths.root)) from error
        except (StorageError, StoreNotFound):
            self._generations.find_current(self.generation)
            raise


def needs_view(search: Search) -> bool:
    """Say whether a search needs the ids and fields of all rows."""
    return search.where is not None or len(search.queries) * search.k > _IDS


def fetch(reader: Reader, ids: Sequence[str]) -> Rows:
    """Return the records of ids; see `Backend.fetch`."""
    view = reader.snapshot.columns
    positions = view.find_positions(dict.fromkeys(ids))
    return _read_whole(reader, positions[positions >= 0])


def page(reader: Reader, where: Filter | None, after: str | None, limit: int) -> Rows:
    """Return the next matching records in the order of ids; see `Backend.page`."""
    view = reader.snapshot.columns
    order = view.columns.order_by_id(view.size)
    start = 0 if after is None else bisect_right(order, after, key=view.columns.ids.__getitem__)
    rest = order[start:]
    if len(order) > view.size:
        rest = rest[rest < view.size]
    return _read_whole(reader, rest[match_rows(where, view)[rest]][:limit])


def sample(reader: Reader, where: Filter | None, size: int) -> Rows:
    """Return matching records spread evenly over the order of ids; see `Backend.sample`."""
    view = reader.snapshot.columns
    order = view.columns.order_by_id(view.size)
    if len(order) > view.size:
        order = order[order < view.size]
    matching = order[match_rows(where, view)[order]]
    if len(matching) > size:
        matching = matching[np.arange(size) * len(matching) // size]
    return _read_whole(reader, matching)


def count(reader: Reader, where: Filter | None) -> int:
    """Return how many records match; see `Backend.count`."""
    if where is None:
        return reader.snapshot.ledger.tables["rows"].count
    return int(np.count_nonzero(match_rows(where, reader.snapshot.columns)))


def changes(opened: OpenGeneration, limit: int) -> list[Change]:
    """Return the oldest noted changes; see `Backend.changes`."""
    with opened.pool.check_out() as connection:
        notes = opened.read_notes(connection, "changes").by_id.values()
    return [Change(note.seq, note.id) for note in islice(notes, limit)]


def tombstones(opened: OpenGeneration, after: str | None, limit: int) -> dict[str, int]:
    """Return versions of removed records in the order of ids; see `Backend.tombstones`."""
    with opened.pool.check_out() as connection:
        notes = opened.read_notes(connection, "tombstones")
    start = 0 if after is None else bisect_right(notes.ids, after)
    return {id_: notes.by_id[id_].version for id_ in notes.ids[start : start + limit]}


def _read_whole(reader: Reader, positions: NDArray[np.int64]) -> Rows:
    """Return the whole rows at positions of the view."""
    rids = reader.snapshot.columns.rids[positions]
    rows = reader.read_rows(rids.tolist(), whole=True)
    return reader.opened.row_format.assemble(rows, _ALL, reader.gather_vectors(rows, rids))
