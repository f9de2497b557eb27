"""Rows that a graph gets last, to be measured with before: the graph is that of all rows, in their order."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest

import vecstore
from tests.places import sqlite_rows
from vecstore import HNSW, F, Record, Schema, VectorStore, fields
from vecstore.backends.file.backend import FileBackend
from vecstore.backends.file.index import row_order
from vecstore.backends.file.index.duplicates import view_codes
from vecstore.backends.file.search import plan
from vecstore.backends.file.search.graph import open_scanner
from vecstore.backends.file.vectors import vectors as vectors_of_a_commit
from vecstore.backends.file.vectors.segment import Segment

DIM, COUNT = 16, 4_000


@pytest.fixture(autouse=True)
def free_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_PER_EFFORT", 0)


def draw(count: int, seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def fill(directory: Path, rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]], metric: str = "l2") -> VectorStore:
    store = vecstore.connect(f"file:{directory}").create(
        "docs", Schema(DIM, metric, index=HNSW(m=8), fields={"number": fields.Int()})
    )
    store.insert(Record(f"r{row:05}", vector, metadata={"number": row}) for row, vector in enumerate(rows))
    return store


def read_codes(directory: Path) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]], int, faiss.Index]:
    """Return the rids in the one index file, the number of its nodes, and its graph."""
    [path] = directory.glob("g/*/idx/*.faiss")
    data = path.read_bytes()
    size = int.from_bytes(data[:4], "little")
    described = json.loads(data[4 : 4 + size])
    start = math.ceil((4 + size) / 64) * 64
    count = described["n"]
    rids = np.frombuffer(data, "<i8", count, start)
    begin = start + 8 * count + math.ceil(4 * count / 8) * 8
    index = faiss.read_index(faiss.PyCallbackIOReader(_reader(data[begin:])))
    return rids, int(index.ntotal), index


def _reader(data: bytes) -> object:
    position = 0

    def take(count: int) -> bytes:
        nonlocal position
        position += count
        return data[position - count : position]

    return take


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_the_published_graph_has_every_row_in_order(tmp_path: Path, metric: str) -> None:
    rows = draw(COUNT)
    store = fill(tmp_path, rows, metric)
    store.reindex()
    status = store.index_status()
    assert (status.measured, status.indexed) == ("held-out rows", COUNT)
    rids, nodes, index = read_codes(tmp_path)
    assert rids.tolist() == sorted(rids.tolist())
    assert (len(rids), nodes) == (COUNT, COUNT)
    # The code of a node is that of the row of its number, so the links lead where the build meant them to.
    codes = open_scanner(index).sa_decode(view_codes(open_scanner(index)))
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True) if metric == "cosine" else rows
    scale = float(np.linalg.norm(codes) / np.linalg.norm(expected))
    assert codes == pytest.approx(expected * scale, rel=2e-3, abs=2e-3 * scale)
    _, found = index.search(codes, 1)
    if metric != "ip":
        assert (found[:, 0] == np.arange(COUNT)).mean() > 0.99
    queries = draw(100, 2)
    for where in (None, F.number < COUNT // 2):
        near = store.search_many(queries, where=where, ef=400, include=["vector"])
        truth = store.search_many(queries, where=where, exact=True)
        right = [len({hit.id for hit in a} & {hit.id for hit in b}) for a, b in zip(near, truth, strict=True)]
        assert np.mean(right) > 9.7
        for hits in near:
            for hit in hits:
                assert np.array_equal(hit.vector, rows[int(hit.id[1:])])  # type: ignore[arg-type]


def test_copies_are_no_queries_and_share_nodes(tmp_path: Path) -> None:
    rows = np.repeat(draw(COUNT // 4), 4, axis=0)[np.random.default_rng(5).permutation(COUNT)]
    store = fill(tmp_path, rows)
    store.reindex()
    # Of a row whose copies are in the graph already the graph finds the neighbours too easily.
    assert store.index_status().measured == "near probes"
    rids, nodes, _ = read_codes(tmp_path)
    assert (len(rids), nodes) == (COUNT, COUNT // 4)
    for row in range(0, COUNT, 97):
        hits = store.search(rows[row], 4, ef=200)
        assert {hit.id for hit in hits} == {f"r{place:05}" for place in np.flatnonzero((rows == rows[row]).all(1))}


def test_some_copies_do_no_harm(tmp_path: Path) -> None:
    rows = draw(COUNT)
    rows[: COUNT // 10] = rows[COUNT // 10 : COUNT // 5]
    store = fill(tmp_path, rows)
    store.reindex()
    assert store.index_status().measured == "held-out rows"
    rids, nodes, _ = read_codes(tmp_path)
    assert (rids.tolist(), nodes) == (sorted(rids.tolist()), COUNT - COUNT // 10)
    for row in range(0, COUNT, 97):
        expected = {f"r{place:05}" for place in np.flatnonzero((rows == rows[row]).all(1))}
        assert {hit.id for hit in store.search(rows[row], len(expected), ef=200)} == expected


def test_a_doubled_graph_is_measured_with_some_of_the_new_rows(tmp_path: Path) -> None:
    store = fill(tmp_path, draw(COUNT))
    store.reindex()
    store.calibrate()
    assert store.index_status().measured == "near probes"
    with vecstore.connect(f"file:{tmp_path}?index_min_rows=32") as db:
        again = db.open("docs")
        again.insert(Record(f"s{row:05}", vector) for row, vector in enumerate(draw(COUNT, 3)))
        assert (again.index_status().measured, again.index_status().indexed) == ("held-out rows", 2 * COUNT)
        rids, nodes, _ = read_codes(tmp_path)
        assert (rids.tolist(), nodes) == (sorted(rids.tolist()), 2 * COUNT)


def test_calibration_by_hand_uses_rows_that_wait(tmp_path: Path) -> None:
    store = fill(tmp_path, draw(COUNT))
    store.reindex()
    store.insert(Record(f"s{row:05}", vector) for row, vector in enumerate(draw(199, 3)))
    store.calibrate()
    assert store.index_status().measured == "near probes"
    store.insert([Record("t", draw(1, 4)[0])])
    assert store.calibrate() is not None
    status = store.index_status()
    assert (status.measured, status.rows - status.indexed) == ("waiting rows", 200)


def test_removed_rows_are_no_hits_of_waiting_ones(tmp_path: Path) -> None:
    store = fill(tmp_path, draw(COUNT))
    store.reindex()
    store.delete(where=F.number < 500)
    store.insert(Record(f"s{row:05}", vector) for row, vector in enumerate(draw(300, 3)))
    backend = FileBackend.connect(str(tmp_path), {})
    active = backend.find(name="docs").active
    with backend.hold_waiting(active) as waiting:
        assert waiting is not None
        found = [each for part in (slice(0, 100), slice(100, 300)) for each in waiting.find(part, 10, 300)]
        truth = [each for part in (slice(0, 100), slice(100, 300)) for each in waiting.find(part, 10, None)]
    backend.close()
    shares = [len({*a.rows.ids} & {*b.rows.ids}) for a, b in zip(found, truth, strict=True)]
    assert (len(waiting), [each.exact for each in truth] == [True] * 300) == (300, True)
    assert np.mean(shares) > 9.7
    stored = {str(rid) for (rid,) in sqlite_rows(next(tmp_path.glob("g/*/rows.db")), "SELECT rid FROM rows")}
    assert {id_ for each in (*found, *truth) for id_ in each.rows.ids} <= stored


def test_an_interrupted_measurement_leaves_the_former_index(tmp_path: Path) -> None:
    store = fill(tmp_path, draw(COUNT))
    store.reindex()
    before = store.index_status()

    def stop(phase: str, _done: int, _total: int | None) -> None:
        if phase == "calibrating":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.reindex(on_progress=stop)
    assert store.index_status() == before


def orders() -> Iterator[tuple[int, list[int]]]:
    draw = np.random.default_rng(11)
    for early, late in ((0, 3), (3, 1), (10, 10), (1_000, 7), (7, 100)):
        for _ in range(5):
            rids = draw.permutation(early + late)
            yield early, np.argsort([*sorted(rids[:early]), *sorted(rids[early:])]).tolist()
    yield 5, list(range(8))


@pytest.mark.parametrize("early, order", list(orders()))
def test_late_rows_move_between_the_others(early: int, order: list[int]) -> None:
    rows = np.arange(3 * len(order), dtype=np.uint8).reshape(-1, 3)
    expected = rows[order]
    row_order.move_rows(rows, np.array(order), early)
    assert np.array_equal(rows, expected)


def test_measuring_and_many_queries_do_not_map_a_large_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pages of all vectors, the peak memory of a build of 62,666 × 384 was 396 MiB; it is 320."""

    def refuse(_segment: Segment, places: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
        raise AssertionError(f"{len(places)} vectors were gathered from the map")

    monkeypatch.setattr(vectors_of_a_commit, "_MAPPED", 0)
    monkeypatch.setattr(Segment, "gather", refuse)
    store = fill(tmp_path, draw(COUNT))
    store.reindex()
    assert store.index_status().measured == "held-out rows"
    for exact in (False, True):
        answers = store.search_many(draw(100, 2), 10, ef=64, exact=exact)
        assert {(len(hits), hits.exact) for hits in answers} == {(10, exact)}
