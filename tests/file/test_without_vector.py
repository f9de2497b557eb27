"""Records without a vector in files: nothing is stored in place of one, and nothing takes it for a row to compare."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from tests.file.compactions import read_newest
from tests.file.golden_maker import PLACE as FIRST_FORMAT
from tests.file.golden_maker import SCHEMAS, find_nearest
from tests.file.samples import (
    OPTIONAL,
    QUERIES,
    SCHEMA,
    Store,
    connect_backend,
    find_inexact,
    find_sorted,
    make_busy_store,
    make_sparse_rows,
)  # fmt: skip
from tests.file.sparse_golden_maker import EXPECTED, PLACE, describe
from tests.force_graph import MIN_ROWS, force_graph
from vecstore import HNSW, F, Flat, InvalidVector, Record, Schema
from vecstore.backend import Search, Update
from vecstore.backends.file.search import code_cache
from vecstore.filters.nodes import ALL, Compare


def read_version(store: Store) -> int:
    with closing(sqlite3.connect(store.place / "g" / store.active.id / "rows.db")) as link:
        return int(link.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture(params=[OPTIONAL, OPTIONAL.with_index(HNSW(m=8, ef_construction=32))], ids=["flat", "hnsw"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return a store with gaps in segments and in the memtable."""
    store = make_busy_store(tmp_path / "kb", request.param, index_min_rows="32")
    store.upsert(range(1_000, 3_000), 6, make_sparse_rows)
    store.upsert(range(2_990, 3_020), 7, make_sparse_rows)
    store.upsert(range(90, 200), 8, make_sparse_rows)
    return store


def test_only_a_file_that_may_hold_them_has_the_newer_format(tmp_path: Path, store: Store) -> None:
    assert read_version(store) == 2
    assert store.backend.stats(store.active).details["format"] == 2
    assert read_version(make_busy_store(tmp_path / "other", SCHEMA)) == 1


def test_nothing_is_stored_in_the_place_of_a_vector(store: Store) -> None:
    bare = sum(not kept.vector for kept in store.model.values())
    snapshot = read_newest(store)
    assert snapshot.ledger.bare == bare > 1_000
    assert snapshot.vectors.live == len(store.model) - bare
    with closing(sqlite3.connect(store.place / "g" / store.active.id / "rows.db")) as link:
        assert link.execute("SELECT count(*) FROM rows WHERE vector_crc IS NULL").fetchone() == (bare,)
        [(hot,)] = link.execute("SELECT count(*) FROM hot JOIN rows USING (rid) WHERE vector_crc IS NULL")
    assert hot == 0
    store.check()


def find_searchable(store: Store) -> set[str]:
    return {id_ for id_, kept in store.model.items() if kept.vector}


def check_searches(store: Store) -> None:
    """Check every strategy: by codes, by products, one by one, in float32, along the graph; filtered and not."""
    searchable, backend = find_searchable(store), store.backend
    year = {id_ for id_, kept in store.model.items() if kept.fields["year"] == 6}
    for where, chosen in ((None, searchable), (Compare("year", "eq", 6), searchable & year), (ALL, searchable)):
        truth = np.array([np.frombuffer(store.model[id_].vector, np.float32) for id_ in chosen], float)
        for k in (3, 2_600):
            for queries in (QUERIES[:1], np.tile(QUERIES, (4, 1))):
                for _ in range(2):  # codes appear with the second scan
                    for exact in (True, False):
                        asked = Search(queries, k, where, exact=exact, ef=1_000)
                        for query, one in zip(queries, backend.search(store.active, asked), strict=True):
                            assert set(one.rows.ids) <= chosen
                            nearest = np.sort(np.linalg.norm(truth - query, axis=1))[:k]
                            np.testing.assert_allclose(np.sort(-one.scores)[:k], nearest, rtol=1e-6, atol=1e-12)
    assert find_inexact(backend, store.active) == []


def test_no_strategy_takes_them_for_rows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_cache, "_LEAST", 64)
    with force_graph():
        check_searches(store)
        store.backend.build_index(store.active)
        check_searches(store)
        state = store.backend.index_state(store.active)
        assert state.indexed == (len(find_searchable(store)) if state.state == "ready" else 0)
        store.upsert(range(3_100, 3_400), 9, make_sparse_rows)  # rows that wait for the graph
        store.backend.update(store.active, Compare("year", "eq", 7), Update({}, {}, removes_vector=True))
        for id_ in [id_ for id_, kept in store.model.items() if kept.fields["year"] == 7]:
            store.model[id_] = replace(store.model[id_], vector=b"")
        check_searches(store)
        store.backend.tend(store.active)
        check_searches(store)
        store.backend.compact(store.active)
        check_searches(store)
        store.check()


def test_every_vector_goes_and_comes_again(store: Store) -> None:
    store.backend.update(store.active, ALL, Update({}, {}, removes_vector=True))
    store.model = {id_: replace(kept, vector=b"") for id_, kept in store.model.items()}
    store.backend.compact(store.active)
    store.backend.build_index(store.active)
    store.check()
    assert [len(one.rows) for one in store.backend.search(store.active, Search(QUERIES, 7))] == [0, 0, 0]
    assert read_newest(store).vectors.live == 0
    store.backend.update(store.active, ALL, Update({}, {}, np.ones(8, np.float32)))
    store.model = {id_: replace(kept, vector=np.ones(8, np.float32).tobytes()) for id_, kept in store.model.items()}
    store.check()


def test_damage_is_found(store: Store) -> None:
    store.backend.close()
    rows = store.place / "g" / store.active.id / "rows.db"
    with closing(sqlite3.connect(rows)) as link:
        link.execute(
            "UPDATE rows SET vector_crc = NULL WHERE rid = (SELECT rid FROM rows WHERE vector_crc IS NOT NULL)"
        )
        link.commit()
    with closing(connect_backend(store.place)) as fresh:
        assert fresh.verify(store.active).problems
        with pytest.raises(vecstore.StoreCorrupt):
            fresh.page(store.active, None, None, 10_000)


def test_a_count_that_is_wrong_is_found(store: Store) -> None:
    store.backend.close()
    rows = store.place / "g" / store.active.id / "rows.db"
    with closing(sqlite3.connect(rows)) as link:
        [(body,)] = link.execute("SELECT body FROM ledger")
        data = json.loads(body)
        data["tables"]["bare"][0] += 1
        body = json.dumps(data)
        link.execute("UPDATE ledger SET body = ?, crc = ?", (body, zlib.crc32(body.encode())))
        link.commit()
    with closing(connect_backend(store.place)) as fresh, pytest.raises(vecstore.StoreCorrupt):
        fresh.search(store.active, Search(QUERIES, 3))


def test_a_backup_has_them(store: Store, tmp_path: Path) -> None:
    store.backend.backup(str(tmp_path / "copy"))
    with closing(connect_backend(tmp_path / "copy")) as copy:
        assert copy.find_without_vector(store.active, 10_000) == store.backend.find_without_vector(store.active, 10_000)
        assert copy.verify(store.active).ok
        asked = Search(QUERIES, 9, exact=True)
        assert find_sorted(copy, store.active, asked) == find_sorted(store.backend, store.active, asked)


# -- formats


def test_a_store_of_the_first_format_is_upgraded_and_goes_back(tmp_path: Path) -> None:
    golden = Path(shutil.copytree(FIRST_FORMAT, tmp_path / "kb"))
    with force_graph(), vecstore.connect(f"file:{golden}?{MIN_ROWS}") as db:
        for name in SCHEMAS:
            store = db.open(name)
            before = list(store.scan())
            assert store.schema.vectors == "required"
            with pytest.raises(InvalidVector):
                store.upsert([Record("none")])
            db.rebuild(name, schema=replace(store.schema, vectors="optional"))
            store = db.open(name)
            assert list(store.scan()) == before
            store.upsert([Record("none"), replace(before[3], vector=None)])
            assert store.count() == len(before) + 1
            assert store.verify().ok
            assert len(store.search([1.0] * store.schema.width, k=1_000)) == len(before) - 1
            store.delete(ids=["none"])
            store.upsert([before[3]])
            db.rollback(name)
            assert list(db.open(name).scan()) == before
            assert db.open(name).verify().ok


@pytest.fixture
def golden(tmp_path: Path) -> Iterator[vecstore.Database]:
    """Return a copy of the directory of the second format."""
    place = shutil.copytree(PLACE, tmp_path / "kb")
    with vecstore.connect(f"file:{place}?{MIN_ROWS}") as db:
        yield db


@pytest.fixture
def expected() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(EXPECTED.read_text())
    return data


def test_the_second_format_is_read_as_it_was_written(golden: vecstore.Database, expected: dict[str, Any]) -> None:
    backend: Any = golden._backend
    found = describe(backend)
    assert found.keys() == expected.keys()
    for name, known in expected.items():
        active = backend.find(name=name).active
        with force_graph():
            nearest = [find_nearest(backend, active, exact=exact) for exact in (True, False)]
        for hits in nearest:
            for mine, theirs in zip(hits, known["nearest"], strict=True):
                assert [hit[1] for hit in mine] == [hit[1] for hit in theirs]
                assert [hit[0] for hit in mine] == pytest.approx([hit[0] for hit in theirs], rel=1e-5, abs=1e-6)
        assert {key: value for key, value in found[name].items() if key != "nearest"} == {
            key: value for key, value in known.items() if key != "nearest"
        }
        assert backend.verify(active).problems == ()


def test_the_second_format_is_written_to(golden: vecstore.Database, expected: dict[str, Any]) -> None:
    for name in expected:
        store = golden.open(name)
        lacking = golden._backend.find_without_vector(golden._backend.find(name=name).active, 1_000)
        store.update(ids=lacking[:5], vector=[1.0] * store.schema.width)
        store.update(where=F.id.in_(["r7", "r8"]), vector=None)
        store.upsert([Record(f"new{number}", text="a text") for number in range(70)])
        store.compact()
        assert store.index_status().without_vector == len(lacking) - 5 + 2 + 70
        assert store.verify().ok


def test_the_schema_is_known_by_its_part(golden: vecstore.Database) -> None:
    assert {golden.open(name).schema.vectors for name in golden.names()} == {"optional"}
    assert Schema(dim=3, index=Flat()).vectors == "required"
