"""Rows of one batch that have the same id: the last one is stored, or all are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..backend import Rows
from ..errors import DuplicateId
from .selected import take_rows


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
    return take_rows(rows, sorted({id_: row for row, id_ in enumerate(rows.ids)}.values()))
