"""A reader: one commit of a generation, and a connection to read its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt
from vecstore.filters.nodes import Filter

from ..filters import match_rows
from ..storage.checksums import checksum_vector
from ..storage.connections import SqliteConnection
from .fields import Mask
from .open_generation import OpenGeneration
from .rows import Values, Vanished
from .snapshot import Snapshot


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

    def match_rows(self, where: Filter | None) -> Mask:
        """Return for each row of the view whether it is stored and matches a bound filter."""
        view = self.snapshot.columns
        return match_rows(where, view, view.load_keys(where, self.connection, self.opened.paths.rows))

    def gather_present(
        self, rows: Sequence[Values], rids: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the vectors of rows, checked, zeros where there is none, and which rows have one; None if all have."""
        present = np.array([row[4] is not None for row in rows], np.bool_)
        if present.all():
            return self.gather_vectors(rows, rids), None
        shape = self.opened.shape
        vectors = np.zeros((len(rows), shape.dim), shape.dtype)
        having = [row for row in rows if row[4] is not None]
        vectors[present] = self.gather_vectors(having, rids[present])
        return vectors, present

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
