"""Small writes let the row file grow by many pages at once, so that most commits leave its size as it is."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vecstore
from vecstore import Record, Schema
from vecstore.backends.file.state import transaction

WRITES = 60


def read_number(place: Path, pragma: str) -> int:
    [rows] = place.glob("g/*/rows.db")
    connection = sqlite3.connect(f"file:{rows}?mode=ro", uri=True)
    try:
        return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
    finally:
        connection.close()


def make_records(count: int, first: int = 0) -> list[Record]:
    draw = np.random.default_rng(first)
    return [Record(f"r{first + n}", draw.normal(size=384), "text") for n in range(count)]


def test_most_small_writes_leave_the_size(memory_path: Path) -> None:
    sizes = set[int]()
    with vecstore.connect(memory_path) as db:
        store = db.create("notes", Schema(dim=384))
        for number in range(WRITES):
            store.upsert(make_records(1, number))
            sizes.add(read_number(memory_path, "page_count"))
        assert store.count() == WRITES
        assert store.verify().ok
    assert len(sizes) <= WRITES // 6
    assert read_number(memory_path, "freelist_count") > 0
    assert read_number(memory_path, "freelist_count") <= 64


def test_a_large_write_takes_what_it_needs(memory_path: Path) -> None:
    with vecstore.connect(memory_path) as db:
        db.create("notes", Schema(dim=384)).upsert(make_records(500))
    assert read_number(memory_path, "freelist_count") == 0


def test_room_grows_with_the_file_up_to_a_bound(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "_MOST_ROOM", most := 24)
    with vecstore.connect(memory_path) as db:
        store = db.create("notes", Schema(dim=384))
        store.upsert(replace(each, text="x" * 4_000) for each in make_records(300))
        assert read_number(memory_path, "page_count") > 8 * most
        store.upsert(make_records(1, 1_000))
    assert most - 4 <= read_number(memory_path, "freelist_count") <= most


def test_a_write_that_adds_nothing_makes_no_room(memory_path: Path) -> None:
    with vecstore.connect(memory_path) as db:
        store = db.create("notes", Schema(dim=384))
        store.upsert(make_records(500))
        before = read_number(memory_path, "page_count")
        store.delete(ids=["r1"])
    assert read_number(memory_path, "page_count") == before
