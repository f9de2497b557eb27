"""A generation, read page by page in constant memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .backend import EVERYTHING, Backend, Generation, Include, Rows
from .filters.nodes import Filter

FIRST, LEAST, MOST = 1_000, 100, 5_000
"""Records in the first page, and in any later one."""
PAGE_BYTES = 16 << 20


def read_pages(
    backend: Backend,
    generation: Generation,
    where: Filter | None = None,
    include: Include = EVERYTHING,
    *,
    most: int = MOST,
) -> Iterator[Rows]:
    """Yield the matching records in the order of their ids, in pages of about 16 MiB and up to ``most`` records.

    Each page is as large as the one before it lets expect.

    Raises
    ------
    Superseded
    """
    vector_bytes = generation.schema.width * np.dtype(generation.schema.dtype).itemsize
    size, after = min(FIRST, most, max(LEAST, PAGE_BYTES // vector_bytes)), None
    while len(rows := backend.page(generation, where, after, size, include)):
        yield rows
        after = rows.ids[-1]
        size = min(most, max(LEAST, PAGE_BYTES * len(rows) // max(1, _measure(rows))))


def read_ahead(pages: Iterator[Rows]) -> Iterator[Rows]:
    """Yield pages while a thread reads the next one, which pays where the caller waits for another place."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "vecstore-pages") as pool:
        coming = pool.submit(next, pages, None)
        while (rows := coming.result()) is not None:
            coming = pool.submit(next, pages, None)
            yield rows


def _measure(rows: Rows) -> int:
    """Estimate the bytes of rows."""
    texts = sum(len(text) for text in rows.texts or () if text is not None) + sum(map(len, rows.extras or ()))
    return texts + (0 if rows.vectors is None else rows.vectors.nbytes)
