from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vecstore import (
    DuplicateId,
    EmbedderRequired,
    InvalidArgument,
    InvalidId,
    InvalidMetadata,
    InvalidVector,
    Record,
    Schema,
    fields,
)
from vecstore.rows.batches import BATCH_BYTES, cut_batches
from vecstore.rows.conversion import as_rows

SCHEMA = Schema(dim=2, metric="l2", fields={"n": fields.Int(), "tags": fields.Keywords()})


def sizes(records: Sequence[Record], batch_size: int | None = None, vector_bytes: int = 8) -> list[int]:
    return [len(batch) for batch in cut_batches(records, batch_size, vector_bytes)]


def numbered(count: int, **values: Any) -> list[Record]:
    return [Record(str(number), [1, 2], **values) for number in range(count)]


class Words:
    """An embedder's method that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.labels: list[str] = []

    def __call__(self, texts: Sequence[str], /, *, label: Callable[[int], str] | None = None) -> NDArray[np.float32]:
        self.asked += texts
        self.labels += [label(number) for number in range(len(texts))] if label else []
        return np.array([[len(text), 1] for text in texts], np.float32)


def test_batches_are_cut_by_number() -> None:
    assert sizes(numbered(7), 3) == [3, 3, 1]
    assert sizes(numbered(6), 3) == [3, 3]
    assert sizes([], 3) == []
    assert sizes(numbered(5_001)) == [5_000, 1]


def test_batches_are_cut_by_bytes() -> None:
    assert sizes(numbered(10), vector_bytes=BATCH_BYTES // 4) == [4, 4, 2]
    assert sizes(numbered(5, text="x" * (BATCH_BYTES // 2))) == [2, 2, 1]
    assert sizes(numbered(5, metadata={"a": {"b": ["x" * (BATCH_BYTES // 2)]}})) == [2, 2, 1]
    assert sizes(numbered(5, metadata={"x" * (BATCH_BYTES // 2): 1})) == [2, 2, 1]
    assert sizes(numbered(3), vector_bytes=BATCH_BYTES * 2) == [1, 1, 1]
    assert sizes(numbered(10), 3, vector_bytes=BATCH_BYTES // 2) == [2, 2, 2, 2, 2]


def test_metadata_that_holds_itself_is_cut_and_then_refused() -> None:
    endless: list[Any] = []
    endless += [endless, endless]
    (batch,) = cut_batches([Record("a", [1, 2], metadata={"x": endless})], None, 8)
    with pytest.raises(InvalidMetadata, match="deeper"):
        as_rows(batch, SCHEMA, None)


def test_an_iterator_is_read_no_further_than_the_batch() -> None:
    read: list[int] = []

    def given() -> Iterator[Record]:
        for number in range(100):
            read.append(number)
            yield Record(str(number), [1, 2])

    batches = cut_batches(given(), 5, 8)
    next(batches)
    assert read == [0, 1, 2, 3, 4]
    next(batches)
    assert read[-1] == 9


@pytest.mark.parametrize("records", [Record("a"), "abc", b"abc", None, 3, {"a": 1}, ["a"], [None]], ids=repr)
def test_what_is_no_iterable_of_records(records: Any) -> None:
    with pytest.raises(InvalidArgument, match="Record"):
        list(cut_batches(records, None, 8))


@pytest.mark.parametrize("size", [0, -1, True, 2.0, "2"])
def test_a_batch_size_is_a_whole_number(size: Any) -> None:
    with pytest.raises(InvalidArgument, match="batch_size"):
        list(cut_batches(numbered(3), size, 8))


def test_records_become_columns() -> None:
    rows = as_rows(
        [
            Record("b", (1, 2), "text", {"n": np.int64(3), "x": [1, None], "gone": None}),
            Record("a", np.array([0.1, 0.2]), None, {"tags": ["u", "v"], "n": None}),
        ],
        SCHEMA,
        None,
    )
    assert (rows.ids, rows.texts, rows.extras) == (["b", "a"], ["text", None], ['{"x":[1,null]}', "{}"])
    assert rows.fields == {"n": [3, None], "tags": [None, ("u", "v")]}
    assert rows.vectors is not None
    assert rows.vectors.dtype == np.float32
    assert np.array_equal(rows.vectors, np.array([[1, 2], [0.1, 0.2]], np.float32))
    assert rows.versions is None


def test_texts_without_vector_are_embedded_together() -> None:
    words = Words()
    batch = [Record("a", text="xx"), Record("b", [9, 9], "given"), Record("c", text="xxxx")]
    rows = as_rows(batch, SCHEMA, words)
    assert words.asked == ["xx", "xxxx"]
    assert words.labels == ["Record 'a'", "Record 'c'"]
    assert rows.vectors is not None
    assert rows.vectors.tolist() == [[2, 1], [9, 9], [4, 1]]


def test_nothing_is_embedded_where_every_vector_is_given() -> None:
    words = Words()
    as_rows(numbered(2, text="t"), SCHEMA, words)
    assert words.asked == []


@pytest.mark.parametrize("bad, error, told", [
    (Record("", [1, 2]), InvalidId, "id"),
    (Record("bad", [1, 2], metadata={"n": "3"}), InvalidMetadata, "'bad'.*'n'"),
    (Record("bad", text="\0"), InvalidMetadata, "'bad'.*text"),
    (Record("bad"), InvalidVector, "'bad' has neither"),
    (Record("bad", text="word"), EmbedderRequired, "'bad'"),
    (Record("bad", item=b"picture"), EmbedderRequired, "'bad' has an item"),
    (Record("bad", text=" "), InvalidVector, "'bad' has a blank text"),
    (Record("bad", [1, 2], item=b"picture"), InvalidVector, "'bad' has both"),
    (Record("bad", [1, 2, 3]), InvalidVector, "'bad'.*3 dimensions"),
    (Record("bad", [1, np.inf]), InvalidVector, "'bad'.*infinity"),
])  # fmt: skip
def test_the_record_that_is_wrong_is_named(bad: Record, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        as_rows([*numbered(2), bad, Record("z", [1, 2])], SCHEMA, None)


def test_of_twins_the_last_row_is_kept() -> None:
    words = Words()
    batch = [
        Record("a", [1, 2], "first", {"n": 1, "x": 1}),
        Record("b", [3, 4]),
        Record("a", text="xxx"),
        Record("c", [5, 6]),
    ]
    rows = as_rows(batch, SCHEMA, words)
    assert (rows.ids, rows.texts, rows.extras) == (["b", "a", "c"], [None, "xxx", None], ["{}"] * 3)
    assert rows.fields == {"n": [None] * 3, "tags": [None] * 3}
    assert rows.vectors is not None
    assert rows.vectors.tolist() == [[3, 4], [3, 1], [5, 6]]
    assert rows.vectors.flags.c_contiguous
    with pytest.raises(DuplicateId, match="'a'"):
        as_rows(batch, SCHEMA, words, unique=True)
    assert words.asked == ["xxx"]


@pytest.mark.parametrize("bad", [Record("x", text="t", metadata={"n": "3"}), Record("x")])
def test_what_needs_no_model_is_checked_before_it_is_asked(bad: Record) -> None:
    words = Words()
    with pytest.raises(InvalidArgument):
        as_rows([Record("0", text="to embed"), bad], SCHEMA, words)
    assert words.asked == []
