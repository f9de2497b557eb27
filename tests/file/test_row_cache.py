"""Rows that were read lately: found again, within bounds, and never in place of a later state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from vecstore import Record, Schema
from vecstore.backends.file.search.row_cache import RowCache


def make_row(rid: int, text: str = "text") -> tuple[Any, ...]:
    return (rid, f"id {rid}", 0, 0, 0, 0, "{}", text)


def test_what_was_kept_is_known() -> None:
    cache = RowCache()
    cache.keep([make_row(1), make_row(2)])
    assert cache.find([2, 3, 1]) == {1: make_row(1), 2: make_row(2)}


def test_rows_that_are_not_asked_for_are_forgotten() -> None:
    cache = RowCache(budget=100_000)
    for rid in range(1_000):
        cache.keep([make_row(rid)])
        assert 0 in cache.find([0])
    known = cache.find(range(1_000))
    assert 500 not in known
    assert 999 in known
    assert len(cache._new) + len(cache._old) < 100_000 / 600


def test_a_large_row_is_not_kept() -> None:
    cache = RowCache()
    cache.keep([make_row(1, "x" * 100_000), make_row(2)])
    assert list(cache.find([1, 2])) == [2]


def test_a_search_shows_the_newest_state_of_a_row_that_was_read_before(tmp_path: Path) -> None:
    url = f"file:{tmp_path}"
    query = np.ones(2, np.float32)
    with vecstore.connect(url) as here, vecstore.connect(url) as there:
        store = here.create("docs", Schema(dim=2))
        store.upsert([Record("a", query, "first", {"x": [1]})])
        for text in ("second", "third"):
            hit = store.search(query)[0]
            assert isinstance(hit.metadata, dict)
            hit.metadata["x"].append(2)
            assert store.search(query)[0].metadata == {"x": [1]}
            there.open("docs").update(ids=["a"], text=text, vector=query)
            assert store.search(query)[0].text == text
        there.open("docs").delete(ids=["a"])
        assert len(store.search(query)) == 0
