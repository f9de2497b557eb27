"""Columns of undeclared keys: what they answer, what they read, what they keep, and rows that vanish under them."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import vecstore
from tests.file.samples import LATER, Store, list_ids
from vecstore import Database, F, Flat, Record, Schema, StoreCorrupt
from vecstore.backends.file.state.key_column import KeyColumn
from vecstore.backends.file.state.key_columns import KeyColumns
from vecstore.backends.file.state.rows import Vanished, read_extras
from vecstore.backends.file.storage.checksums import checksum_body, checksum_encoded_body
from vecstore.filters.binding import bind
from vecstore.filters.key_values import KEY_OPERATORS, make_operand, read_value
from vecstore.filters.nodes import CompareKey, Filter
from vecstore.testing.corpus import list_accepted
from vecstore.testing.undeclared_equivalence import BOOKS, SCALARS

SCHEMA = Schema(dim=2, index=Flat(), dynamic=True)
VALUE_KINDS = {"str", "number", "bool", "list"}
VALUES = [None, *(value for book in BOOKS for value in book.metadata.values() if not hasattr(value, "tzinfo"))]


def draw_operand(draw: random.Random, op: str) -> Any:
    def draw_one() -> Any:
        while True:
            value = draw.choice(SCALARS if op.startswith("contains") else VALUES)
            try:
                return make_operand(value)
            except ValueError:
                pass

    if op in {"in", "contains_any", "contains_all"}:
        return tuple(draw_one() for _ in range(draw.randrange(1, 5)))
    fitting = {"eq": VALUE_KINDS, "exists": VALUE_KINDS, "starts_with": {"str"}, "contains_text": {"str"}}
    operand = draw_one()
    while operand.kind not in fitting.get(op, {"str", "number"}):
        operand = draw_one()
    return operand


def test_parts_of_strings_are_found_in_strings_only() -> None:
    column = KeyColumn()
    column.extend(["abc", "bc", ["abc"], 1, None, True, "ABC", {"abc": 1}, ""], [])
    for op, expected in {"starts_with": [0], "contains_text": [0, 1]}.items():
        found = column.test(op, make_operand("a" if op == "starts_with" else "bc"), 9)
        assert [place for place, is_true in enumerate(found) if is_true] == expected


def test_agrees_with_the_definition(seed: int) -> None:
    """Also for the first rows of a column that has grown since, as an older view asks."""
    draw = random.Random(seed)
    for pool in (VALUES, ["a", "b", None], [1, 2.5, None], [True, [1], ["a", True]], [None]):
        column, stored = KeyColumn(), []
        for _ in range(4):
            some = draw.choices(pool, k=draw.randrange(60))
            column.extend(some, [])
            stored += some
            for op in KEY_OPERATORS:
                for _ in range(12):
                    operand, size = draw_operand(draw, op), draw.choice([len(stored), draw.randrange(len(stored) + 1)])
                    expected = [
                        value is not None and KEY_OPERATORS[op](read_value(value), operand) for value in stored[:size]
                    ]
                    assert column.test(op, operand, size).tolist() == expected, (op, operand)


def test_an_extension_that_broke_off_is_made_again() -> None:
    column = KeyColumn()
    column.extend([["a"], 1], [])

    column.extend([["a", "b"], "x"], [])
    column.rows = 2  # as if the second call had been interrupted at its end
    column.extend([5, ["b"], ["c"]], [])
    for item, expected in {"a": [True, False, False, False, False], "b": [False, False, False, True, False]}.items():
        assert column.test("contains_any", (make_operand(item),), 5).tolist() == expected
    assert column.test("eq", make_operand(5), 5).tolist() == [False, False, True, False, False]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many rows each reading of undeclared metadata returned."""
    counts: list[int] = []

    def count_rows(connection: Any, first: int, last: int, path: Path) -> dict[int, bytes]:
        found = read_extras(connection, first, last, path)
        counts.append(len(found))
        return found

    monkeypatch.setattr("vecstore.backends.file.state.key_columns.read_extras", count_rows)
    return counts


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with vecstore.connect(f"file:{tmp_path}") as database:
        yield database


def make_records(numbers: Sequence[int]) -> list[Record]:
    return [Record(f"{n}", [1, 0], metadata={"n": n, "word": f"w{n % 7}", "in": {"n": n}}) for n in numbers]


def test_a_key_is_read_once_and_follows_the_commits(db: Database, reads: list[int]) -> None:
    store = db.create("docs", SCHEMA)
    store.insert(make_records(range(100)))
    assert store.count(F["n"] < 10) == 10
    assert reads == [100]
    assert store.count((F["n"] < 10) & (F["word"] == "w1") & (F.path("in", "n") > 0)) == 2
    assert reads == [100, 100]
    store.upsert(make_records(range(98, 103)))
    assert store.count((F["n"] >= 98) & (F["word"] == "w1")) == 1
    assert reads == [100, 100, 5]
    assert store.count(F.path("in", "n") >= 98) == 5
    assert store.count(F["n"] >= 98) == 5
    assert reads == [100, 100, 5, 5]
    store.delete(where=F["n"] == 102)
    assert store.count(F["n"] >= 98) == 4
    assert reads == [100, 100, 5, 5]


def test_a_static_store_reads_no_undeclared_metadata(db: Database, reads: list[int]) -> None:
    store = db.create("docs", Schema(dim=2, index=Flat(), fields={"n": vecstore.fields.Int()}))
    store.insert(make_records(range(10)))
    assert store.count(F.n > 1) == 8
    assert reads == []


def find_columns(store: vecstore.VectorStore) -> KeyColumns:
    opened = store._backend._generations.open(store._current.entry.active)  # type: ignore[attr-defined]
    return opened._snapshot.columns.columns.keys  # type: ignore[no-any-return]


def test_columns_beyond_the_budget_are_forgotten(db: Database, reads: list[int]) -> None:
    store = db.create("docs", SCHEMA)
    store.insert(Record(f"{n}", [1, 0], metadata={key: f"{key} {n}" for key in "abcd"}) for n in range(500))
    assert store.count(F["a"].exists()) == 500
    columns = find_columns(store)
    columns._budget = 3 * columns.size
    assert store.count(F["b"].exists() & F["c"].exists()) == 500
    assert store.count(F["a"] == "a 1") == 1
    assert len(reads) == 2
    assert columns.size <= columns._budget
    assert store.count(F["d"] == "d 1") == 1
    assert set(columns._known) == {("d",), ("a",), *(set(columns._known) & {("b",), ("c",)})}
    assert columns.size <= columns._budget
    assert store.count(F["b"].exists() & F["c"].exists()) == 500
    assert len(reads) == 4
    columns._budget = 0
    assert store.count((F["a"] == "a 1") & (F["b"] == "b 1")) == 1
    assert set(columns._known) == {("a",), ("b",)}


def load(store: Store, where: Filter, view: Any) -> list[bool]:
    opened = store.backend._generations.open(store.active)
    with opened.pool.check_out() as connection:
        columns = view.load_keys(where, connection, opened.paths.rows)
    assert isinstance(where, CompareKey)
    return (view.alive & columns[where.path].test(where.op, where.value, view.size)).tolist()  # type: ignore[no-any-return]


def test_a_reader_whose_row_was_removed_starts_again(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    store.upsert(range(20), 3)
    assert store.backend.count(store.active, LATER) == 20
    opened = store.backend._generations.open(store.active)
    assert opened._snapshot is not None
    known = opened._snapshot.columns
    store.delete([3])
    other = CompareKey(("n",), "gte", make_operand(0))
    with pytest.raises(Vanished):
        load(store, other, known)  # reads first after the removal
    assert load(store, LATER, known) == [True] * 20
    assert list_ids(store.backend, store.active, other) == sorted(store.model)
    with pytest.raises(Vanished):
        load(store, other, known)  # the column exists now, without the row
    store.upsert([3, 40], 4)
    assert store.backend.count(store.active, other) == 21


def test_damaged_metadata_is_no_answer(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    store.upsert(range(20), 3)
    file = store.backend._generations.open(store.active).paths.rows
    with closing(sqlite3.connect(file)) as link, link:
        link.execute("UPDATE rows SET extra = replace(extra, '\"stamp\":3', '\"stamp\":2') WHERE rid = 7")
    for ask in (store.backend.count, store.backend.delete):
        with pytest.raises(StoreCorrupt, match="row 7"):
            ask(store.active, LATER)


def test_both_checksums_of_a_body_are_one() -> None:
    for text in (None, "", *list_accepted(0, 600)):
        extra = json.dumps({"k": text}, ensure_ascii=False)
        encoded = None if text is None else text.encode()
        assert checksum_encoded_body(7, extra.encode(), encoded) == checksum_body(7, extra, text)


def test_a_filter_in_the_cache_keeps_classes_apart(db: Database) -> None:
    store = db.create("docs", SCHEMA)
    values = [1, True, "1", 1.0, [1], [True], 0, False]
    store.insert(Record(f"{n}", [1, 0], metadata={"k": value}) for n, value in enumerate(values))
    for _ in range(3):
        assert len(store.search([1, 0], where=F["k"] == 1)) == 2
        assert len(store.search([1, 0], where=F["k"] == True)) == 1  # noqa: E712 - a filter, no truth value
        assert len(store.search([1, 0], where=F["k"] == [1])) == len(store.search([1, 0], where=F["k"] == [True])) == 1
    assert bind(F["k"] == 1, SCHEMA) != bind(F["k"] == True, SCHEMA)  # noqa: E712 - filters, no truth values
