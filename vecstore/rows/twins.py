"""Rows of one batch that have the same id: the last one is stored, or all are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..backend import Rows
from ..errors import DuplicateId


def refuse_twins(ids: Sequence[str]) -> None:
    """Raise the error for a batch in which an id appears twice.

    Raises
    ------
    DuplicateId
    """
    twice = Counter(ids).most_common(1)[0][0]
    raise DuplicateId(
        f"Record {twice!a} appears twice in one batch. Leave one out, or use upsert(), which keeps the last."
    )


def keep_last(rows: Rows) -> Rows:
    """Return the rows without those whose id appears again later."""
    last = sorted({id_: row for row, id_ in enumerate(rows.ids)}.values())

    def take(column: Sequence[Any]) -> list[Any]:
        return [column[row] for row in last]

    return Rows(
        take(rows.ids),
        None if rows.vectors is None else rows.vectors[last],
        None if rows.texts is None else take(rows.texts),
        None if rows.fields is None else {name: take(column) for name, column in rows.fields.items()},
        None if rows.extras is None else take(rows.extras),
        present=None if rows.present is None else rows.present[last],
    )
