"""Masks against the definition of filters, on random conditions and rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecstore import Schema, fields
from vecstore.backends.file.filters import match_rows
from vecstore.backends.file.state.columns import View
from vecstore.backends.file.state.rows import RowFormat
from vecstore.backends.file.storage.checksums import checksum_row
from vecstore.errors import StoreCorrupt
from vecstore.fields import Stored
from vecstore.filters import ALL, Filter
from vecstore.filters.matching import matches
from vecstore.filters.nodes import And, Compare, Not, Or

SCHEMA = Schema(
    dim=2,
    fields={
        "k": fields.Keyword(), "l": fields.Keywords(), "i": fields.Int(),
        "f": fields.Float(), "b": fields.Bool(), "d": fields.DateTime(),
    },
)  # fmt: skip
WORDS = ["", "a", "A", "é", "é", "a b", "a,b", "x" * 1024, "'", '"', "%", "\u202e", "0", "None"]
INTS = [-(2**53), -1, 0, 1, 2, 2**53]
FLOATS = [-1.5, 0.0, 1.0, 1.0000000000000002, 1e308, 5e-324]
VALUES: dict[str, list[Any]] = {"k": WORDS, "i": INTS, "f": FLOATS, "b": [True, False], "d": INTS}
OPERATORS = {
    "k": ["eq", "in", "starts_with", "contains_text"], "b": ["eq", "in"], "l": ["contains_any", "contains_all"],
    **{name: ["eq", "in", "lt", "lte", "gt", "gte"] for name in "ifd"},
}  # fmt: skip

Row = tuple[str, dict[str, Stored | None]]


def draw_row(draw: random.Random, number: int) -> Row:
    values: dict[str, Stored | None] = {
        name: None if draw.random() < 0.25 else draw.choice(choices) for name, choices in VALUES.items()
    }
    values["l"] = None if draw.random() < 0.25 else tuple(draw.choices(WORDS, k=draw.randrange(5)))
    return f"id{number}", values


def draw_filter(draw: random.Random, depth: int = 4) -> Filter:
    kind = draw.random()
    if depth and kind < 0.5:
        items = tuple(draw_filter(draw, depth - 1) for _ in range(draw.randrange(4)))
        return draw.choice([And, Or])(items)
    if depth and kind < 0.65:
        return Not(draw_filter(draw, depth - 1))
    name = draw.choice([*OPERATORS, "id"])
    if draw.random() < 0.15:
        return Compare(name, "exists", True)
    if name == "id":
        ids = tuple(f"id{draw.randrange(80)}" for _ in range(draw.randrange(5)))
        return Compare("id", "in", ids) if draw.random() < 0.5 else Compare("id", "eq", f"id{draw.randrange(80)}")
    op = draw.choice(OPERATORS[name])
    choices = WORDS if name == "l" else VALUES[name]
    if op in {"in", "contains_any", "contains_all"}:
        return Compare(
            name, op, tuple(draw.choices([*choices, "unknown"] if name in "kl" else choices, k=draw.randrange(4)))
        )
    if op in {"starts_with", "contains_text"}:
        return Compare(name, op, draw.choice(WORDS)[draw.randrange(2) :][: draw.randrange(1, 3)] or "a")
    return Compare(name, op, draw.choice(choices))


def make_heads(rows: list[Row], first_rid: int) -> tuple[Sequence[Any], ...]:
    form = RowFormat(SCHEMA)
    columns = {name: [values[name] for _, values in rows] for name in SCHEMA.fields}
    encoded = form.encode_fields(columns, len(rows))
    rids, nothing = range(first_rid, first_rid + len(rows)), [0] * len(rows)
    bare = (rids, [id_ for id_, _ in rows], nothing, nothing, nothing, *encoded)
    return (*bare, [checksum_row(row) for row in zip(*bare, strict=True)])


def make_view(draw: random.Random) -> tuple[View, list[Row]]:
    """Return a view that has seen appends and removals, and the rows that it should hold."""
    path = Path("rows.db")
    rows = [draw_row(draw, number) for number in range(60)]
    first, changed, rest = rows[:40], [draw_row(draw, number) for number in range(10)], rows[40:]
    view = View.make_empty(SCHEMA).advance(np.empty(0, np.int64), iter([make_heads(first, 1)]), path)
    removed = np.arange(1, 15)
    view = view.advance(removed, iter([make_heads(changed, 41), make_heads(rest, 51)]), path)
    return view, [*changed, *first[14:], *rest]


def test_agrees_with_the_definition(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(20):
        view, rows = make_view(draw)
        for _ in range(60):
            condition = draw_filter(draw)
            expected = {id_ for id_, values in rows if matches(condition, id_, values)}
            got = view.get_ids(np.flatnonzero(match_rows(condition, view)))
            assert len(got) == len(set(got))
            assert set(got) == expected, condition


@pytest.mark.parametrize("condition", [None, ALL, Not(Or(()))])
def test_everything(condition: Filter | None, seed: int) -> None:
    view, rows = make_view(random.Random(seed))
    assert sorted(view.get_ids(np.flatnonzero(match_rows(condition, view)))) == sorted(id_ for id_, _ in rows)


def test_an_older_view_stays_what_it_was(seed: int) -> None:
    draw = random.Random(seed)
    rows = [draw_row(draw, number) for number in range(30)]
    path = Path("rows.db")
    old = View.make_empty(SCHEMA).advance(np.empty(0, np.int64), iter([make_heads(rows[:20], 1)]), path)
    conditions = [draw_filter(draw) for _ in range(50)]
    before = [match_rows(condition, old).tolist() for condition in conditions]
    again = [draw_row(draw, number) for number in range(5)]
    old.advance(np.arange(1, 11), iter([make_heads([*rows[20:], *again], 21)]), path)
    assert [match_rows(condition, old).tolist() for condition in conditions] == before
    assert old.get_ids(old.find_positions(["id3", "id15"])) == ["id3", "id15"]
    assert old.find_positions(["id25"]).tolist() == [-1]


def test_a_removed_id_is_nowhere(seed: int) -> None:
    draw = random.Random(seed)
    rows = [draw_row(draw, number) for number in range(20)]
    path = Path("rows.db")
    old = View.make_empty(SCHEMA).advance(np.empty(0, np.int64), iter([make_heads(rows, 1)]), path)
    new = old.advance(np.array([4, 7]), iter([make_heads([rows[6]], 21)]), path)
    assert new.find_positions(["id3", "id6", "id5"]).tolist() == [-1, 20, 5]
    assert old.find_positions(["id3", "id6"]).tolist() == [3, 6]


def test_an_id_in_two_rows_is_refused(seed: int) -> None:
    draw = random.Random(seed)
    rows = [draw_row(draw, number) for number in range(3)]
    path, nothing = Path("rows.db"), np.empty(0, np.int64)
    once = View.make_empty(SCHEMA).advance(nothing, iter([make_heads(rows, 1)]), path)
    for parts in ([make_heads(rows[:1], 4)], [make_heads(rows[:1], 4), make_heads(rows[:1], 5)]):
        with pytest.raises(StoreCorrupt, match="two rows"):
            once.advance(nothing, iter(parts), path)
    with pytest.raises(StoreCorrupt, match="two rows"):
        View.make_empty(SCHEMA).advance(nothing, iter([make_heads([rows[0], rows[0]], 1)]), path)
