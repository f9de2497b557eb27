"""Batching: which items are embedded together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def cut_by_weight(weights: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield batches of positions, with items of similar weight together.

    Texts of similar length need little padding, and a transformer computes the padding too.
    """
    order = sorted(range(len(weights)), key=weights.__getitem__)
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))
