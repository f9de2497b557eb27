"""A reader: one commit of a generation, and a connection to read its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt

from ..storage.checksums import checksum_vector
from ..storage.connections import SqliteConnection
from .open_generation import OpenGeneration
from .rows import Values
from .snapshot import Snapshot


class Vanished(Exception):
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
            raise Vanished
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
