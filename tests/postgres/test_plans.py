"""Plans of PostgreSQL: the graph or a field's index where intended, no graph where an answer must be exact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.postgres.places import PostgresPlace
from vecstore import HNSW, F, Record, Schema, VectorStore, fields
from vecstore.backends.postgres import filters, search
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.column_types import PackedQuery, register_types
from vecstore.filters import Filter
from vecstore.filters.binding import bind

ROWS = 12_000
KINDS = [("cosine", "float32", 2), ("l2", "float32", 16), ("ip", "float32", 384), ("cosine", "float16", 64)]


def list_used_indexes(plan: Any) -> set[str]:
    """Return the indexes used by those parts of a plan that were executed."""
    if plan.get("Actual Loops") == 0:
        return set()
    found = {plan["Index Name"]} if "Index Name" in plan else set()
    return found.union(*map(list_used_indexes, plan.get("Plans", [])))


class PlannedStore:
    """A store with an index, and the plans of its statements."""

    def __init__(self, place: PostgresPlace, store: VectorStore, backend: PostgresBackend) -> None:
        self.store = store
        self._place = place
        self._backend = backend

    def explain(self, *, exact: bool = False, where: Filter | None = None, has_citus: bool = False) -> set[str]:
        generation = self._backend.find(name=self.store.name).active
        layout = replace(self._backend._layouts.get(generation), has_citus=has_citus)
        bound = bind(where, generation.schema)
        build = search.compile_exact_search if exact else search.compile_search
        wish = search.SearchStatement(layout, bound, frozenset({"text"}), 10, single=True, standby=False)
        statement = build(self._backend._tables, wish)
        values: dict[str, Any] = {
            "query": PackedQuery(np.ones((1, generation.schema.width), np.float32)),
            "ef": None,
            "generation": generation.id,
            **({} if bound is None else filters.list_values(bound, layout)),
        }
        with psycopg.connect(self._place.server, autocommit=True) as link:
            register_types(link, self._backend._server.oids)
            explain = "EXPLAIN (ANALYZE, FORMAT JSON) " + statement.text
            [plan] = link.execute(explain, {**statement.constants, **values}).fetchone() or ([],)
        found = json.loads(plan) if isinstance(plan, str) else plan
        return {
            name.partition("_h_")[1] or name
            for name in list_used_indexes(found[0]["Plan"])
            if "_g_" in name or "_h_" in name
        }


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join(map(str, kind)))
def planned(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[PlannedStore]:
    metric, dtype, dim = request.param
    place = PostgresPlace(postgres_url, min_rows=ROWS)
    draw = np.random.default_rng(dim).standard_normal((ROWS, dim)).astype(np.float32)
    schema = Schema(dim, metric, dtype, HNSW(m=8, ef_construction=40, target_recall=0.5), {"number": fields.Int()})
    with place.connect() as db:
        store = db.create("shelf", schema)
        store.insert(Record(str(n), v, "text", {"number": n}) for n, v in enumerate(draw))
        assert store.index_status().ef is not None
        backend = db._backend
        assert isinstance(backend, PostgresBackend)
        yield PlannedStore(place, store, backend)
    place.close()


def test_a_search_uses_the_graph(planned: PlannedStore) -> None:
    assert "_h_" in planned.explain()


def test_an_exact_search_does_not(planned: PlannedStore) -> None:
    assert "_h_" not in planned.explain(exact=True)


@pytest.mark.parametrize("has_citus", [False, True])
def test_many_matches_are_found_by_the_graph_and_few_by_the_index_of_the_field(
    planned: PlannedStore, *, has_citus: bool
) -> None:
    """Also where the statement may not ask the server's catalogue how large the table is."""
    assert "_h_" in planned.explain(where=F.number >= 1_000, has_citus=has_citus)
    few = planned.explain(where=F.number >= ROWS - 100, has_citus=has_citus)
    assert "_h_" not in few
    assert any(name.endswith("_f0") for name in few)
