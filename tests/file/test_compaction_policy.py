"""When vectors are merged, and which: the policy on sizes alone."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from vecstore.backends.file.vectors.compaction_policy import CompactionPolicy, MergeRange, Sizes, select_all, select_due

POLICY = CompactionPolicy()
NOTHING: Sequence[int] = ()


def make_sizes(
    rows: Sequence[int] = NOTHING,
    live: Sequence[int] | None = None,
    memtable: Sequence[int] | None = None,
    row_bytes: int = 1_536,
    removals: int = 0,
) -> Sizes:
    return Sizes(rows, live or rows, memtable or [0] * (len(rows) + 1), row_bytes, removals)


def test_an_empty_store_and_a_small_one() -> None:
    assert select_due(POLICY, make_sizes()) is None
    assert select_due(POLICY, make_sizes([100_000, 70], memtable=[64, 0, 4_000])) is None


@pytest.mark.parametrize(
    "found,expected",
    [
        # Too many segments: the smallest neighbours, and who is not larger than they are together.
        (make_sizes([1_000] * 16), None),
        (make_sizes([1_000] * 17), MergeRange.cover(0, 17)),
        (make_sizes([100_000, *[70] * 16]), MergeRange.cover(1, 17)),
        (make_sizes([*[70] * 16, 100_000]), MergeRange.cover(0, 16)),
        (make_sizes([2**20 >> number for number in range(17)]), MergeRange.cover(15, 17)),
        (make_sizes([9**8, *[3**number for number in range(16, 0, -1)]]), MergeRange.cover(15, 17)),
        # Hot rows: those of the fullest gap.
        (make_sizes([100_000], memtable=[0, 4_097]), MergeRange.cover(1, 1)),
        (make_sizes([100_000], memtable=[4_000, 97]), MergeRange.cover(0, 0)),
        (make_sizes([4_000], memtable=[90, 4_097]), MergeRange.cover(0, 1)),
        (make_sizes(memtable=[4_097]), MergeRange.cover(0, 0)),
        (make_sizes(memtable=[2_000], row_bytes=64_000), MergeRange.cover(0, 0)),
        # Dead rows: everything.
        (make_sizes([5_000, 70], [4_001, 70]), None),
        (make_sizes([4_000, 970, 30], [3_000, 969, 30], memtable=[0, 0, 0, 3]), MergeRange.cover(0, 3)),
        (make_sizes([100_000], [80_000]), None),
        (make_sizes([100_000], [79_999]), MergeRange.cover(0, 1)),
        # Removals alone: nothing is copied.
        (make_sizes(memtable=[10], removals=16_384), None),
        (make_sizes(memtable=[10], removals=16_385), MergeRange()),
    ],
)
def test_what_is_due(found: Sizes, expected: MergeRange | None) -> None:
    assert select_due(POLICY, found) == expected


@pytest.mark.parametrize(
    "found,gains",
    [
        (make_sizes(), False),
        (make_sizes([100]), False),
        (make_sizes([100], [99]), True),
        (make_sizes([100], [100], [0, 1]), True),
        (make_sizes([100, 100]), True),
        (make_sizes(memtable=[1]), True),
    ],
)
def test_what_there_is_to_gain(found: Sizes, *, gains: bool) -> None:
    assert select_all(found) == (MergeRange.cover(0, len(found.rows)) if gains else None)


@pytest.mark.parametrize("batch", [1, 30, 70, 5_000])
def test_rows_are_copied_about_as_often_as_the_store_doubles(batch: int) -> None:
    """A million rows in equal batches; random ones beside them."""
    draw = random.Random(batch)
    for choices in ([batch], [1, batch, batch, 10 * batch]):
        rows: list[int] = []
        memtable = [0]
        total = copied = 0
        goal = min(1_000_000, 20_000 * batch)
        while total < goal:
            count = draw.choice(choices)
            total += count
            if count > 64:
                rows.append(count)
                memtable.append(0)
            else:
                memtable[-1] += count
            while run := select_due(POLICY, make_sizes(rows, memtable=memtable)):
                moved = make_sizes(rows, memtable=memtable).count_rows(run)
                copied += moved
                rows[run.segments.start : run.segments.stop] = [moved]
                memtable[run.gaps.start : run.gaps.stop] = [0, 0]
        assert len(rows) <= POLICY.max_segments
        assert sum(memtable) <= POLICY.max_memtable_rows
        assert copied / total <= math.log2(max(2, total / max(batch, 64)))
