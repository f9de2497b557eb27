"""The memtable: vectors of rows that are in no segment yet, held in memory in the order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt
from vecstore.rows.vectors import compute_norms

from ..state.fields import Mask
from ..state.ledger import Total
from ..storage.checksums import checksum_memtable_row
from ..storage.connections import SqliteConnection
from .append_array import AppendArray
from .segment import SegmentRow, Shape, find_places

Rids = NDArray[np.int64]
_NOWHERE = np.empty(0, np.int64)

_MAX_BATCH_ROWS = 64
_MAX_BATCH_BYTES = 1 << 20


def belongs_in_memtable(rows: int, row_bytes: int) -> bool:
    """Say whether a batch goes to the memtable; a larger one becomes a segment at once."""
    return rows <= _MAX_BATCH_ROWS and rows * row_bytes <= _MAX_BATCH_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Memtable:
    """The memtable of one commit.

    Attributes
    ----------
    alive : ndarray of bool
        Which of the vectors are still in the memtable; its length says how many there are.
    """

    shape: Shape
    alive: Mask
    _rids: AppendArray
    _matrix: AppendArray
    _norms: AppendArray
    _crcs: AppendArray

    @classmethod
    def make_empty(cls, shape: Shape) -> Memtable:
        """Return a state without rows."""
        arrays = (
            AppendArray(np.int64),
            AppendArray(shape.stored, shape.dim),
            AppendArray(np.float64),
            AppendArray(np.int64),
        )
        return cls(shape, np.zeros(0, np.bool_), *arrays)

    @property
    def size(self) -> int:
        """How many vectors are in memory."""
        return len(self.alive)

    @property
    def rids(self) -> Rids:
        """The rids of all vectors, rising."""
        return self._rids.view(self.size)

    @property
    def matrix(self) -> NDArray[Any]:
        """All vectors."""
        return self._matrix.view(self.size)

    @property
    def norms(self) -> NDArray[np.float64]:
        """The norms of all vectors."""
        return self._norms.view(self.size)

    @property
    def crcs(self) -> NDArray[np.int64]:
        """The checksums of all vectors, computed by `checksum_memtable_row`."""
        return self._crcs.view(self.size)

    def get_vector(self, rid: int) -> bytes:
        """Return the vector of a rid, empty if it is not here."""
        places, inside = find_places(self.rids, self.size, np.array([rid]))
        return self.matrix[places[0]].tobytes() if inside[0] else b""

    def find_living(self, rids: Rids) -> NDArray[np.int64]:
        """Return the places of the rids that are in the memtable."""
        places, inside = find_places(self.rids, self.size, rids)
        chosen: NDArray[np.int64] = places[inside]
        return chosen[self.alive[chosen]]

    def find_between(self, first: int, end: int) -> NDArray[np.int64]:
        """Return the places of the rows of a range of rids."""
        start, stop = np.searchsorted(self.rids, (first, end)).tolist()
        found: NDArray[np.int64] = start + np.flatnonzero(self.alive[start:stop])
        return found

    def read_verified(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Return some vectors, checked again, since a copy is no longer covered by these checksums.

        Raises
        ------
        StoreCorrupt
        """
        vectors = self.matrix[places]
        for rid, vector, crc in zip(self.rids[places].tolist(), vectors, self.crcs[places].tolist(), strict=True):
            if checksum_memtable_row(rid, vector.tobytes()) != crc:
                raise StoreCorrupt(f"The vector of row {rid} changed in memory. Restart the process.")
        return vectors

    def advance(
        self,
        connection: SqliteConnection,
        known: Total,
        wanted: Total,
        removed: Rids,
        segments: Sequence[SegmentRow],
        path: Path,
    ) -> tuple[Memtable, Total]:
        """Return the state that a connection sees, and its total.

        Parameters
        ----------
        connection : SqliteConnection
        known, wanted : Total
            The total of this state, and the one in the ledger.
        removed : ndarray of int64
            Rising.
        segments : sequence of SegmentRow
            Segments that may hold rows that are still in this memtable.
        path : Path
            The database, for messages.

        Raises
        ------
        StoreCorrupt
        """
        removed_places = self._find_removed(removed, segments)
        if known == wanted and not len(removed_places):
            return self, known
        memtable, total, alive = self, known.copy(), self.alive.copy()
        alive[removed_places] = False
        total.remove(self.crcs[removed_places].tolist())
        if len(alive) > 4_096 + 2 * int(np.count_nonzero(alive)):
            # Most rows in memory were removed or moved: reloading is cheaper.
            memtable, total = Memtable.make_empty(self.shape), Total()
            alive = memtable.alive
        last = int(memtable.rids[-1]) if memtable.size else 0
        rows = connection.execute("SELECT rid, vector FROM hot WHERE rid > ? ORDER BY rid", (last,)).fetchall()
        if rows:
            total.add(memtable._append(rows, path))
            alive = np.concatenate((alive, np.ones(len(rows), np.bool_)))
        return Memtable(memtable.shape, alive, memtable._rids, memtable._matrix, memtable._norms, memtable._crcs), total

    def _find_removed(self, removed: Rids, segments: Sequence[SegmentRow]) -> NDArray[np.int64]:
        """Return the places of rows that were removed, or moved into segments."""
        if not len(removed) and not segments:
            return _NOWHERE
        found = [self.find_living(removed), *(self.find_between(row.base, row.last + 1) for row in segments)]
        return np.unique(np.concatenate(found))

    def _append(self, rows: Sequence[tuple[int, bytes]], path: Path) -> list[int]:
        """Append rows to those of this state; return their checksums."""
        if any(not isinstance(vector, bytes) or len(vector) != self.shape.row_bytes for _, vector in rows):
            raise StoreCorrupt(f"{path}: a vector of the memtable is damaged. Restore it from a backup.")
        crcs = [checksum_memtable_row(rid, vector) for rid, vector in rows]
        matrix = np.frombuffer(b"".join(vector for _, vector in rows), self.shape.stored)
        matrix = matrix.reshape(len(rows), self.shape.dim)
        self._rids.write(self.size, [rid for rid, _ in rows])
        self._matrix.write(self.size, matrix)
        self._norms.write(self.size, compute_norms(matrix))
        self._crcs.write(self.size, crcs)
        return crcs
