"""One write: rows removed, rows added, notes, and the totals that prove them."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt

from ..storage.checksums import checksum_bodies, checksum_memtable_row, checksum_row, checksum_rows
from ..vectors import segment
from ..vectors.memtable import belongs_in_memtable
from ..vectors.segment import SegmentRow
from ..vectors.segment_thread import SegmentThread
from ..vectors.vectors import Vectors
from .columns import View
from .ledger import BARE
from .notes import Notes, NotesEdit
from .rows import StoredColumns

if TYPE_CHECKING:
    from ..storage.connections import SqliteConnection
    from .generation_files import GenerationFiles
    from .snapshot import Snapshot

CHUNK = 1_024
_SMALL = 64
"""A write of at most so many records makes room for the next ones."""
_LEAST_ROOM, _ROOM, _MOST_ROOM = 4, 16, 64
"""Free pages of the file: with fewer than the first, there will be an eighth of the file, between the others."""

Rids = range | NDArray[np.int64]


class WriteTransaction:
    """One write call, between BEGIN and COMMIT.

    Attributes
    ----------
    vectors : Vectors
        The state before the write.
    ledger : Ledger
        The state after the write.
    heads : list of tuple
        The heads of the added rows, as `RowFormat.select_heads` would give them, but by column, in parts.
    tombstones, changes : NotesEdit
        The versions of removed records, and the change list.
    """

    def __init__(
        self, files: GenerationFiles, connection: SqliteConnection, before: Snapshot, tombstones: Notes, changes: Notes
    ) -> None:
        self.files = files
        self.connection = connection
        self.vectors: Vectors = before.vectors
        self.ledger = before.ledger.start_next()
        self.takes_notes = False
        self.heads: list[tuple[Sequence[Any], ...]] = []
        self._before = before
        self.tombstones = NotesEdit(connection, self.ledger, tombstones)
        self.changes = NotesEdit(connection, self.ledger, changes)

    @property
    def view(self) -> View:
        """The ids and fields before the write."""
        return self._before.columns

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to commit."""
        return self._before.ledger.contents != self.ledger.contents

    def make_room(self) -> None:
        """Let the file grow by many pages at once: a commit that changes its size waits a sixth longer for the disk."""
        added = self.ledger.next["rid"] - self._before.ledger.next["rid"]
        if not 0 < added <= _SMALL or self._read_number("freelist_count") >= _LEAST_ROOM:
            return
        pages = min(_MOST_ROOM, max(_ROOM, self._read_number("page_count") // 8))
        self.connection.execute("INSERT INTO hot VALUES (-1, zeroblob(?))", (pages * self._read_number("page_size"),))
        self.connection.execute("DELETE FROM hot WHERE rid = -1")

    def _read_number(self, pragma: str) -> int:
        number: int = self.connection.execute(f"PRAGMA {pragma}").fetchone()[0]
        return number

    def note_changes(self, ids: Iterable[str]) -> None:
        """Add ids to the change list if one is kept."""
        if self.takes_notes:
            self.changes.put(dict.fromkeys(ids, 0))

    def remove(self, positions: NDArray[np.int64]) -> None:
        """Remove the rows at some positions of the view."""
        rids = self.view.rids[positions]
        if not len(rids):
            return
        tables = self.ledger.tables
        removed = self.connection.executemany(
            "DELETE FROM rows WHERE rid = ?", ((rid,) for rid in rids.tolist())
        ).rowcount
        if removed != len(rids):
            raise StoreCorrupt(f"{self.files.paths.rows}: {len(rids) - removed} rows are missing. Run verify().")
        heads = self.view.columns.heads.view(self.view.size)[positions]
        tables["rows"].remove(heads.tolist())
        if (present := self.view.present) is not None:
            tables[BARE].remove(heads[~present[positions]].tolist())
        self.remove_from_memtable(rids)
        first = self.ledger.take("dead", len(rids))
        dead = [(first + number, rid) for number, rid in enumerate(rids.tolist())]
        self.connection.executemany("INSERT INTO dead VALUES (?, ?)", dead)
        tables["dead"].add(map(checksum_row, dead))

    def insert(
        self,
        count: int,
        vectors: NDArray[Any] | Iterable[NDArray[Any]],
        records: Iterable[StoredColumns],
        present: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add ``count`` rows under new rids.

        Parameters
        ----------
        count : int
        vectors : ndarray, shape (m, dim), or iterable of such
            At once or in parts, in the order of the records that have one.
        records : iterable of StoredColumns
            In parts.
        present : ndarray of bool, shape (count,), optional
            Which records have a vector; None for all.
        """
        if not count:
            return
        base = self.ledger.take("rid", count)
        rids = range(base, base + count) if present is None else base + np.flatnonzero(present)
        crcs: NDArray[np.uint32] = np.empty(len(rids), np.uint32)
        if belongs_in_memtable(len(rids), self.files.shape.row_bytes):
            parts = (vectors,) if isinstance(vectors, np.ndarray) else vectors
            self._add_to_memtable(rids, self._checksum_vectors(parts, crcs))
            self._add_records(base, count, records, crcs, present)
            return
        path = self.files.paths.locate_segment(uuid.uuid4().hex)
        if isinstance(vectors, np.ndarray):
            [stored] = self._checksum_vectors((vectors,), crcs)
            with SegmentThread(path, self.files.shape, rids, stored) as writing:
                self._add_records(base, count, records, crcs, present)
            self.put_segment(writing.get_row())
        else:
            self.put_segment(segment.write(path, self.files.shape, rids, self._checksum_vectors(vectors, crcs)))
            self._add_records(base, count, records, crcs, present)

    def _add_records(
        self,
        base: int,
        count: int,
        records: Iterable[StoredColumns],
        crcs: NDArray[np.uint32],
        present: NDArray[np.bool_] | None,
    ) -> None:
        """Add rows under the rids from ``base`` on, given the checksums of the vectors that are present."""
        every_crc: list[int | None] = crcs.tolist() if present is None else _spread(crcs, present)
        added = 0
        for part in records:
            end = added + len(part.ids)
            self._add_rows(base + added, part, every_crc[added:end])
            added = end
        if added != count:
            raise StoreCorrupt(f"{self.files.paths.rows}: {count - added} rows are missing. Run verify().")

    def _checksum_vectors(self, vectors: Iterable[NDArray[Any]], crcs: NDArray[np.uint32]) -> Iterator[NDArray[Any]]:
        """Yield vectors in their stored form, and record the checksum of each."""
        size = self.files.shape.row_bytes
        done = 0
        for part in vectors:
            rows = np.ascontiguousarray(part, self.files.shape.stored)
            data = rows.reshape(-1).view(np.uint8).data
            crcs[done : done + len(rows)] = [
                zlib.crc32(data[start : start + size]) for start in range(0, len(data), size)
            ]
            done += len(rows)
            yield rows

    def put_segment(self, row: SegmentRow) -> None:
        """Record a segment."""
        values = astuple(row)
        self.connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", values)
        self.ledger.tables["segments"].add((checksum_row(values),))

    def remove_segment(self, row: SegmentRow) -> None:
        """Remove the record of a segment."""
        if self.connection.execute("DELETE FROM segments WHERE base = ?", (row.base,)).rowcount != 1:
            raise StoreCorrupt(f"{self.files.paths.rows}: a segment is missing. Run verify().")
        self.ledger.tables["segments"].remove((checksum_row(astuple(row)),))

    def remove_from_memtable(self, rids: NDArray[np.int64]) -> None:
        """Remove the vectors of rows that are in the memtable."""
        rows, crcs = self.vectors.find_in_memtable(rids)
        if not rows:
            return
        self.connection.executemany("DELETE FROM hot WHERE rid = ?", ((rid,) for rid in rows))
        self.ledger.tables["hot"].remove(crcs)

    def _add_to_memtable(self, rids: Rids, vectors: Iterator[NDArray[Any]]) -> None:
        data = [row.tobytes() for part in vectors for row in part]
        rows = list(zip(map(int, rids), data, strict=True))
        self.connection.executemany("INSERT INTO hot VALUES (?, ?)", rows)
        self.ledger.tables["hot"].add(checksum_memtable_row(*row) for row in rows)

    def _add_rows(self, base: int, part: StoredColumns, crcs: Sequence[int | None]) -> None:
        """Add rows whose vectors, if any, have these checksums, the first under the rid ``base``."""
        rids = range(base, base + len(part.ids))
        bodies = checksum_bodies(rids, part.extras, part.texts)
        bare = (rids, part.ids, part.versions, bodies, crcs, *part.fields)
        sums = checksum_rows(zip(*bare, strict=True))
        self.connection.executemany(
            self.files.row_format.insert, zip(*bare, sums, part.extras, part.texts, strict=True)
        )
        self.heads.append((*bare, sums))
        self.ledger.tables["rows"].add(sums)
        if BARE in self.ledger.tables:
            self.ledger.tables[BARE].add(sum_ for sum_, crc in zip(sums, crcs, strict=True) if crc is None)


def _spread(crcs: NDArray[np.uint32], present: NDArray[np.bool_]) -> list[int | None]:
    """Return the checksum of each record's vector, None where it has none."""
    those = iter(crcs.tolist())
    return [next(those) if has_vector else None for has_vector in present.tolist()]
