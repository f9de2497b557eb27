"""Some of the rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import Rows


def take_rows(rows: Rows, chosen: Sequence[int]) -> Rows:
    """Return the rows with these numbers, in this order, without versions."""

    def take(column: Sequence[Any]) -> list[Any]:
        return [column[row] for row in chosen]

    numbers = list(chosen)
    return Rows(
        take(rows.ids),
        None if rows.vectors is None else rows.vectors[numbers],
        None if rows.texts is None else take(rows.texts),
        None if rows.fields is None else {name: take(column) for name, column in rows.fields.items()},
        None if rows.extras is None else take(rows.extras),
        present=None if rows.present is None else rows.present[numbers],
    )
