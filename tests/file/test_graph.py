"""Graphs and their files: what they cover, how they grow, and that damage is found before FAISS sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from vecstore.backends.file.index import index_file
from vecstore.backends.file.index.coverage import Coverage
from vecstore.backends.file.index.duplicates import DistinctCodes
from vecstore.backends.file.index.graph_build import TooLarge, build_graph, extend_graph
from vecstore.backends.file.index.index_file import IndexRow
from vecstore.backends.file.index.stored_rows import Run, read_stored_rows
from vecstore.backends.file.metrics import METRICS
from vecstore.backends.file.search.faiss_threads import single_threaded
from vecstore.backends.file.search.graph import Graph
from vecstore.backends.file.storage.checksums import BlockCrcs
from vecstore.backends.file.vectors.part import Part
from vecstore.errors import StoreCorrupt
from vecstore.index_options import HNSW
from vecstore.metric import Metric
from vecstore.rows.vectors import compute_norms

from .test_exact_float32 import Matrix, make_part, plain

OWNER = "0" * 32
OPTIONS = HNSW(m=8, ef_construction=40)


def make_graph(parts: Sequence[Part], metric: Metric = Metric.L2, last: int | None = None) -> Graph:
    dim = parts[0].vectors.shape[1]
    end = max(each.last for each in parts) if last is None else last
    return build_graph(metric, dim, OPTIONS, lambda: read_stored_rows(parts), end, lambda _done: None)


def run(vectors: Matrix, first: int) -> Iterator[Run]:
    yield Run(np.arange(first, first + len(vectors)), vectors, compute_norms(vectors))


def find_nodes(graph: Graph, query: Matrix, k: int, ef: int) -> np.ndarray:
    """Return about the k nearest nodes, nearest first."""
    coding = graph.codes.coding
    encoded = METRICS[coding.metric].encode_query(query, coding.exponent)
    with single_threaded():
        _, found = graph.index.search(encoded.vector, k, params=faiss.SearchParametersHNSW(efSearch=ef))
    nodes: np.ndarray = found[0]
    return nodes[nodes >= 0]


def find_nearest_rids(found: Graph, query: Matrix, k: int = 10) -> list[int]:
    rids: list[int] = found.rids[found.find_rows(find_nodes(found, query, k, 100))].tolist()
    return rids


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e13])
def test_a_graph_finds_what_is_near(metric: Metric, scale: float, rng: np.random.Generator) -> None:
    vectors = (plain(rng, 2_000, 12) * rng.uniform(1, 4, (2_000, 1)) * scale).astype(np.float32)
    found = make_graph([make_part(vectors, 5)], metric)
    hits = 0
    for query in (plain(rng, 50, 12) * scale).astype(np.float32):
        wide, asked = vectors.astype(np.float64), query.astype(np.float64)
        truth = {
            Metric.COSINE: wide @ asked / compute_norms(wide),
            Metric.IP: wide @ asked,
            Metric.L2: -np.linalg.norm(wide - asked, axis=1),
        }[metric]
        hits += len(set(find_nearest_rids(found, query)) & set((np.argsort(-truth)[:10] + 5).tolist()))
    assert hits >= 0.95 * 500


def test_a_graph_grows(rng: np.random.Generator) -> None:
    vectors = plain(rng, 1_000, 8)
    found = extend_graph(
        make_graph([make_part(vectors[:600], 1)]), lambda: run(vectors[600:], 601), 1_000, lambda _done: None
    )
    assert len(found) == len(found.codes) == 1_000
    assert found.last == 1_000
    assert all(find_nearest_rids(found, vectors[place])[0] == place + 1 for place in (0, 599, 600, 999))


def test_a_row_that_codes_cannot_hold_needs_another_graph(rng: np.random.Generator) -> None:
    small = make_graph([make_part(plain(rng, 100, 8), 1)])
    with pytest.raises(TooLarge):
        extend_graph(small, lambda: run(plain(rng, 10, 8) * np.float32(1e5), 101), 110, lambda _done: None)
    directions = make_graph([make_part(plain(rng, 100, 8), 1)], Metric.COSINE)
    large = plain(rng, 10, 8) * np.float32(1e5)
    assert len(extend_graph(directions, lambda: run(large, 101), 110, lambda _done: None)) == 110


def test_stored_rows_come_in_the_order_of_rids(rng: np.random.Generator) -> None:
    vectors = plain(rng, 30, 4)
    norms = compute_norms(vectors)
    between = Part(vectors[20:], lambda: norms[20:], np.array([3, 5, 12, 13, 14, 15, 16, 40, 41, 42]),
                   np.arange(10) != 2, lambda _start, _end: None)  # fmt: skip
    parts = [
        make_part(vectors[:2], 1),
        make_part(vectors[2:4], 6),
        make_part(vectors[4:20], 20, np.arange(16) % 2 == 0),
        between,
    ]
    rows = list(read_stored_rows(parts))
    rids = np.concatenate([each.rids for each in rows]).tolist()
    assert rids == sorted(rids)
    assert len(rids) == 2 + 2 + 8 + 9
    both = {rid: vector for each in rows for rid, vector in zip(each.rids.tolist(), each.vectors, strict=True)}
    assert both[3].tolist() == vectors[20].tolist()
    assert both[22].tolist() == vectors[6].tolist()


def test_a_graph_covers_what_it_holds_and_is_still_stored(rng: np.random.Generator) -> None:
    vectors = plain(rng, 400, 4)
    first, second = make_part(vectors[:200], 1), make_part(vectors[200:300], 201)
    found = make_graph([first, second])
    later = make_part(vectors[300:], 301)
    before = Coverage.compute(found, [first, second])
    assert before.count == 300
    assert list(before.tail) == []
    removed = replace(first, alive=np.arange(200) >= 50)
    after = Coverage.compute(found, [removed, second, later], before)
    assert after.count == 250
    assert after.stored.tolist() == [place >= 50 for place in range(300)]
    assert [each.first for each in after.tail] == [301]
    merged = Part(
        vectors[50:], lambda: compute_norms(vectors[50:]), np.arange(51, 401), np.ones(350, np.bool_), later.touch
    )
    together = Coverage.compute(found, [merged], after)
    assert together.count == 250
    assert together.stored.tolist() == after.stored.tolist()
    assert [each.first for each in together.tail] == [301]
    assert together.tail[0].vectors.tolist() == vectors[300:].tolist()


@pytest.mark.parametrize("metric", list(Metric))
def test_copies_of_one_vector_hide_nothing(metric: Metric, rng: np.random.Generator) -> None:
    """As nodes of their own, 900 copies are an island."""
    vectors = plain(rng, 1_000, 8)
    vectors[50:950] = vectors[50]
    first = make_part(vectors[:700], 1)
    found = extend_graph(make_graph([first], metric), lambda: run(vectors[700:], 701), 1_000, lambda _done: None)
    assert len(found) == 1_000
    assert len(found.codes) == 101
    rare = [*range(50), *range(950, 1_000)]
    assert found.nodes[50:950].tolist() == [50] * 900
    hits = sum(place + 1 in find_nearest_rids(found, vectors[place], 20) for place in rare)
    assert hits >= (100 if metric is not Metric.IP else 50)
    assert len(find_nearest_rids(found, vectors[50], 1)) in {1, 900}
    counts = np.zeros(1_000, np.bool_)
    counts[[3, 600]] = True
    assert np.flatnonzero(found.mark_nodes(counts)).tolist() == [3, 50]


def test_distinct_codes_of_one_hash_stay_apart(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DistinctCodes, "_hash", lambda self, coded: np.full(len(coded), 7, np.uint64))
    vectors = plain(rng, 40, 8)
    vectors[20:25] = vectors[0]
    found = extend_graph(
        make_graph([make_part(vectors[:30], 1)]), lambda: run(vectors[30:], 31), 40, lambda _done: None
    )
    assert len(found) == 40
    assert {0, 20, 21, 22, 23, 24} == set(np.flatnonzero(found.nodes == 0).tolist())
    assert all(find_nearest_rids(found, vectors[place], 1)[0] == place + 1 for place in (1, 15, 29, 30, 39))


@pytest.fixture
def written(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, IndexRow, Graph]:
    found = make_graph([make_part(plain(rng, 700, 200), 1)], Metric.COSINE)
    path = tmp_path / f"{'a' * 32}.faiss"
    return path, index_file.write(path, OWNER, found), found


@pytest.mark.parametrize("growing", [False, True])
def test_a_file_holds_the_graph(written: tuple[Path, IndexRow, Graph], rng: np.random.Generator, growing: bool) -> None:  # noqa: FBT001
    path, row, before = written
    after = index_file.read(path, OWNER, row, Metric.COSINE, growing=growing)
    assert path.stat().st_size == row.size
    assert after.rids.tolist() == before.rids.tolist()
    assert (after.last, after.codes.error, after.codes.coding) == (before.last, before.codes.error, before.codes.coding)
    for query in plain(rng, 10, 200):
        assert find_nearest_rids(after, query) == find_nearest_rids(before, query)


def test_damage_is_found_before_faiss_sees_a_byte(
    written: tuple[Path, IndexRow, Graph], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, row, _ = written
    whole = path.read_bytes()
    monkeypatch.setattr(faiss, "read_index", lambda *_: pytest.fail("FAISS was given damaged bytes"))
    for place in rng.integers(0, len(whole), 200).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :])
        with pytest.raises(StoreCorrupt):
            index_file.read(path, OWNER, row, Metric.COSINE)
    for other in (b"", whole[:-1], whole + b"\0", bytes(len(whole))):
        path.write_bytes(other)
        with pytest.raises(StoreCorrupt):
            index_file.read(path, OWNER, row, Metric.COSINE)


def test_what_becomes_of_the_file_later_leads_nowhere(
    written: tuple[Path, IndexRow, Graph], rng: np.random.Generator
) -> None:
    path, row, _ = written
    found = index_file.read(path, OWNER, row, Metric.COSINE)
    with path.open("r+b") as file:
        file.write(b"\x7b" * row.size)
    for query in plain(rng, 10, 200):
        nodes = find_nodes(found, query, 10, 64)
        assert all(0 <= node < len(found.codes) for node in nodes.tolist())


def test_a_file_of_another_kind_is_no_index(written: tuple[Path, IndexRow, Graph]) -> None:
    path, row, _ = written
    for owner, other, metric in (
        ("1" * 32, row, Metric.COSINE),
        (OWNER, replace(row, n=row.n - 1), Metric.COSINE),
        (OWNER, replace(row, last=row.last + 1), Metric.COSINE),
        (OWNER, row, Metric.L2),
    ):
        with pytest.raises(StoreCorrupt):
            index_file.read(path, owner, other, metric)


def test_what_writing_raises_leaves_faiss_as_it_came(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = make_graph([make_part(plain(rng, 300, 16), 1)])
    real, calls = BlockCrcs.add, []

    def interrupted(sums: BlockCrcs, data: bytes) -> None:
        calls.append(len(data))
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(sums, data)

    monkeypatch.setattr(BlockCrcs, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index_file.write(tmp_path / "x.faiss", OWNER, found)
    assert list(tmp_path.iterdir()) == []
    assert len(found) == 300


def test_the_threads_of_faiss_are_set_for_nobody_else(rng: np.random.Generator) -> None:
    before = faiss.omp_get_max_threads()
    make_graph([make_part(plain(rng, 300, 16), 1)])
    assert faiss.omp_get_max_threads() == before
