"""Copies of rows beside an index: what they give is what rows.db holds, whatever becomes of their file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.file.damage_trials import DAMAGES, choose_damage
from tests.file.samples import INDEXED, Store, read_contents
from tests.force_graph import force_graph
from vecstore.backend import Search
from vecstore.backends.file.index import row_copies
from vecstore.backends.file.state.rows import RowFormat

GENERATION = "0" * 32
GOLDEN = Path(__file__).with_name("golden") / "copies-1"
ROWS: dict[int, tuple[Any, ...]] = {
    3: (3, "a", 0, 1, 2, "en", 2**53, 4, "{}", "text"),
    4: (4, "é\u2028", -(2**62), 2**32 - 1, 0, None, -0.0, 4, '{"x":"\\u0000"}', None),
    9: (9, '"quoted"', 2**62, 1, 2, '["t1"]', 5e-324, 4, "{}", "🦊" * 1_000),
    10: (10, "b", 0, 1, 2, "", math.inf, 4, "{}", ""),
}


def write(path: Path, rids: list[int]) -> None:
    row_copies.write(path, GENERATION, np.array(rids), iter([{3: ROWS[3], 4: ROWS[4]}, {9: ROWS[9]}, {10: ROWS[10]}]))


def read(path: Path, rids: list[int]) -> row_copies.RowCopies:
    found = row_copies.read(path, GENERATION, np.array(rids))
    assert found is not None
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.create(tmp_path / "kb", INDEXED, index_min_rows="32")
    made.upsert(range(200), 1)
    made.delete([20, 21])
    made.backend.build_index(made.active)
    made.delete([40])
    made.upsert([3, 300], 2)
    yield made
    made.backend.close()


def check_hits(store: Store) -> None:
    """Search along the graph for each record and compare what comes back."""
    with force_graph():
        for id_, known in store.model.items():
            vector = np.frombuffer(known.vector, np.float32)
            search = Search(vector[None, :], 1, ef=1_000, include=frozenset({"text", "metadata"}))
            [found] = store.backend.search(store.active, search)
            rows = found.rows
            assert not found.exact
            assert rows.fields is not None
            assert rows.texts is not None
            assert rows.extras is not None
            assert (rows.ids, rows.texts, rows.extras) == ([id_], [known.text], [known.extra])
            assert {name: values for name, [values] in rows.fields.items()} == known.fields


def copies_of(store: Store) -> Path:
    [path] = store.place.rglob("*.rows")
    return path


@pytest.mark.parametrize("rids", [[3, 4, 9, 10], [1, 3, 4, 5, 6, 9, 10, 11], list(range(3, 11))])
def test_rows_come_back_as_they_were(tmp_path: Path, rids: list[int]) -> None:
    path = tmp_path / f"{'a' * 32}.rows"
    write(path, rids)
    copies = read(path, rids)
    assert copies.find([10, 3, 9, 4]) == ROWS
    assert repr(copies.find([4])[4]) == repr(ROWS[4])
    assert copies.find([9]) == {9: ROWS[9]}
    # Before the first, gone, between others, behind the last.
    assert copies.find([-1, 0, 1, 2, 5, 6, 8, 11, 12, 10**12]) == {}


def test_a_golden_file_is_read() -> None:
    [path] = GOLDEN.glob("*.rows")
    expected = {row[0]: tuple(row) for row in json.loads((GOLDEN / "expected.json").read_text("utf-8"))}
    assert read(path, [3, 4, 9, 10]).find([3, 4, 9, 10]) == expected == ROWS


def test_a_changed_byte_gives_no_other_row(tmp_path: Path) -> None:
    path, rids = tmp_path / f"{'a' * 32}.rows", [3, 4, 9, 10]
    write(path, rids)
    data = path.read_bytes()
    for place in [*range(300), *range(len(data) - 150, len(data))]:
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x11]) + data[place + 1 :])
        copies = row_copies.read(path, GENERATION, np.array(rids))
        found = copies.find(rids) if copies else {}
        assert found.items() <= ROWS.items()


@pytest.mark.parametrize("other", ["generation", "uid", "rids", "size"])
def test_the_file_of_another_index_is_none(tmp_path: Path, other: str) -> None:
    path = tmp_path / f"{'a' * 32}.rows"
    write(path, [3, 4, 9, 10])
    if other == "uid":
        path = path.rename(path.with_name(f"{'b' * 32}.rows"))
    if other == "size":
        path.write_bytes(path.read_bytes()[:-1])
    rids = np.array([3, 4, 9, 10, 11] if other == "rids" else [3, 4, 9, 10])
    assert row_copies.read(path, "1" * 32 if other == "generation" else GENERATION, rids) is None
    assert row_copies.read(tmp_path / f"{'c' * 32}.rows", GENERATION, rids) is None


def test_a_search_along_a_graph_reads_its_rows_from_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    fetch = RowFormat.fetch

    def watch(self: RowFormat, connection: Any, rids: Any, path: Path, *, whole: bool) -> Any:
        asked.extend(rids)
        return fetch(self, connection, rids, path, whole=whole)

    monkeypatch.setattr(RowFormat, "fetch", watch)
    check_hits(store)
    # Rows that are newer than the index are in rows.db alone.
    assert len(set(asked)) == 2
    assert read_contents(store.backend, store.active) == store.model


def test_without_them_rows_come_from_the_database(store: Store) -> None:
    copies_of(store).unlink()
    check_hits(store)
    assert store.backend.verify(store.active).ok


def test_damage_to_them_changes_no_answer(store: Store, seed: int) -> None:
    import random

    draw, path = random.Random(seed), copies_of(store)
    data, others = path.read_bytes(), [path.with_suffix(".faiss")]
    for trial in range(30):
        damage = DAMAGES[trial] if trial < len(DAMAGES) else choose_damage(draw, older=False)
        if damage.__name__ not in {"flip", "zero", "truncate", "extend"}:
            continue
        damage(path, draw, others, [])
        store.backend._generations.close()
        check_hits(store)
        problems = store.backend.verify(store.active).problems
        # What is left of removed rows, and what fills up the last place, means nothing.
        assert all(path.name in problem for problem in problems)
        assert problems or damage.__name__ in {"flip", "zero"}
        path.write_bytes(data)
    assert store.backend.verify(store.active).ok


def test_verify_notices_a_wrong_copy(store: Store) -> None:
    path = copies_of(store)
    data = path.read_bytes()
    place = data.index(b"text 7 stamp 1")
    path.write_bytes(data[:place] + b"T" + data[place + 1 :])
    [problem] = store.backend.verify(store.active).problems
    assert problem == f"{path} holds wrong copies of 1 rows. Rebuild it with reindex()."
    store.backend.build_index(store.active)
    assert store.backend.verify(store.active).ok


def test_what_was_removed_is_gone_from_them_with_the_next_compaction(store: Store) -> None:
    assert b"text 41 stamp 1" in copies_of(store).read_bytes()
    store.delete([41])
    store.backend.compact(store.active)
    assert b"text 41 stamp 1" not in copies_of(store).read_bytes()
