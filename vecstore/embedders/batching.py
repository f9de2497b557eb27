"""Batching: which texts are embedded together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def cut_by_length(texts: Sequence[str], batch_size: int) -> Iterator[list[int]]:
    """Yield batches of positions, with texts of similar length together.

    They need little padding, and a transformer computes the padding too.
    """
    order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))
