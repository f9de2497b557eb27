"""What decides, without a server, whether Milvus is asked: not where its index would lose neighbours."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vecstore import HNSW, BackendUnavailable, F, Filter, MilvusIndex, Schema, fields
from vecstore.backend import Generation, Search
from vecstore.backends.milvus.answers import CollectionIndex
from vecstore.backends.milvus.fields import plan_layout
from vecstore.backends.milvus.segments import Segments
from vecstore.backends.postgres.followed import upkeep as upkeep_module
from vecstore.backends.postgres.followed.feeding import Round
from vecstore.backends.postgres.followed.follower import Follower, dump_plan
from vecstore.backends.postgres.followed.following import Following
from vecstore.backends.postgres.followed.index_plan import plan_for
from vecstore.backends.postgres.followed.route import Known, SearchRoute
from vecstore.backends.postgres.followed.served_index import SEALED, Growth, wait_for_index
from vecstore.backends.postgres.followed.upkeep import FollowedUpkeep
from vecstore.filters.binding import bind
from vecstore.index_options import IndexOptions

FOLLOWER = Follower("milvus://h:1/default", True, "c", {}, None, None, None, 7, 0, None, None, None, 16)
GENERATION = Generation("a" * 32, Schema(dim=2, fields={"n": fields.Int()}))


def ask(widening: float, segments: Segments, index: IndexOptions, where: Filter | None = None) -> int:
    """Search, and return how often the engine was asked, which then fails."""
    calls = list[int]()

    def search(queries: Any, k: int, **arguments: Any) -> list[Any]:
        calls.append(k)
        raise BackendUnavailable("enough")

    collection: Any = SimpleNamespace(
        name="c", layout=plan_layout(GENERATION.schema), search=search, read_segments=lambda after: segments
    )
    client: Any = SimpleNamespace(options=SimpleNamespace(timeout=30.0), place=FOLLOWER.place)
    route = SearchRoute(client, lambda _, generation: FOLLOWER)
    plan = plan_for(GENERATION.schema.with_index(index), (2, 3, 5))
    route._known[GENERATION.id] = Known(FOLLOWER, collection, plan, time.monotonic() + 60)
    bound = None if where is None else bind(where, GENERATION.schema)
    runner: Any = SimpleNamespace()
    assert route.ask(runner, GENERATION, Search(np.ones((1, 2), np.float32), 3, bound), widening, lambda _: []) is None
    return len(calls)


@pytest.mark.parametrize("widening, interim, asked", [(1.0, 0, 1), (1.0, 6_000, 1), (3.0, 6_000, 0), (1.0, 20_000, 0)])
def test_an_engine_is_not_asked_while_many_matches_may_be_in_an_interim_index(
    widening: float, interim: int, asked: int
) -> None:
    assert ask(widening, Segments(200_000 - interim, 200_000 - interim, interim), HNSW()) == asked


@pytest.mark.parametrize(
    "index, widening, removed, asked",
    [
        (HNSW(), 2.0, 5, 1), (HNSW(), 10.0, 0, 0), (HNSW(), 30.0, 0, 1), (MilvusIndex("IVF_FLAT"), 10.0, 5, 1),
        (MilvusIndex("IVF_PQ", m=1), 1.0, 0, 0), (MilvusIndex("SCANN"), 10.0, 5, 1),
    ],
)  # fmt: skip
def test_an_engine_is_not_asked_where_its_index_does_not_find_matches(
    index: IndexOptions, widening: float, removed: int, asked: int
) -> None:
    assert ask(widening, Segments(200_000, 200_000, removed=removed), index, F.n < 5) == asked


@pytest.mark.parametrize("removed, asked", [(0, 1), (1, 0)])
def test_an_engine_is_not_asked_where_one_removed_record_spoils_its_index(removed: int, asked: int) -> None:
    assert ask(1.0, Segments(200_000, 200_000, removed=removed), MilvusIndex("IVF_PQ", m=1)) == asked


@pytest.mark.parametrize(
    "index, removed, looks",
    [(HNSW(), 5, 1), (MilvusIndex("IVF_PQ", m=1), 0, 3), (MilvusIndex("IVF_PQ", m=1), 5, 1)],
)  # fmt: skip
def test_a_removed_record_is_looked_for_before_each_search_where_it_does_harm(
    index: IndexOptions, removed: int, looks: int
) -> None:
    looked, plan = list[int](), plan_for(GENERATION.schema.with_index(index), (2, 3, 5))

    def read_segments(after: int) -> Segments:
        looked.append(after)
        return Segments(200_000, 200_000, removed=removed)

    collection: Any = SimpleNamespace(name="c", read_segments=read_segments)
    client: Any = SimpleNamespace(options=SimpleNamespace(timeout=30.0))
    route = SearchRoute(client, lambda *_: FOLLOWER)
    assert [route._read_segments(collection, plan, 7).removed for _ in range(3)] == [removed] * 3
    assert len(looked) == looks


@pytest.mark.parametrize(
    "pending, segments, found",
    [
        (12_000, Segments(17_000, 17_000, removed=5_000), ("ready", 11_900)),
        (0, Segments(12_000, 12_000), ("ready", 11_900)),
        (12_000, Segments(12_000, 0), ("building", 0)), (0, Segments(12_000, 8_000), ("building", 7_900)),
    ],
    ids=["merged anew", "whole", "none", "a part"],
)  # fmt: skip
def test_what_searches_read_through_the_index_counts_as_indexed(
    pending: int, segments: Segments, found: tuple[str, int]
) -> None:
    plan = plan_for(GENERATION.schema.with_index(MilvusIndex("IVF_FLAT")), (2, 3, 5))
    built = CollectionIndex(plan, 12_000, 0, pending, segments)
    opened: Any = SimpleNamespace(read_index=lambda after: built)
    following: Any = SimpleNamespace(
        table=SimpleNamespace(read=lambda *_: FOLLOWER, count_notes=lambda *_: 100), place=FOLLOWER.place,
        feeder=SimpleNamespace(open=lambda *_: opened),
        _client=SimpleNamespace(options=SimpleNamespace(index_min_rows=10_000)),
    )  # fmt: skip
    state = Following.describe(following, GENERATION, 12_000, 0)
    assert state is not None
    assert (state.state, state.indexed) == found


@pytest.mark.parametrize("sent, growing, flushes", [(0, SEALED - 1, 0), (SEALED, 0, 1), (0, SEALED, 1)])
def test_what_has_grown_is_sealed_whoever_sent_it(sent: int, growing: int, flushes: int) -> None:
    flushed = list[int]()
    collection: Any = SimpleNamespace(
        read_segments=lambda after: Segments(growing=growing), flush=lambda: flushed.append(1)
    )
    grown = Growth()
    grown.add("g", sent // 2)
    grown.add("g", sent // 2)
    grown.add("h", sent)
    grown.seal("g", collection, 1)
    assert len(flushed) == flushes
    assert grown._sent["h"] == sent


def test_an_engine_that_does_not_seal_now_is_asked_again_later() -> None:
    def fail() -> None:
        raise BackendUnavailable("too often")

    collection: Any = SimpleNamespace(flush=fail)
    grown = Growth()
    grown.add("g", SEALED)
    grown.seal("g", collection, 1)
    assert grown._sent["g"] == SEALED


@pytest.mark.parametrize(
    "name, served, failure, is_served",
    [("IVF_FLAT", 9_000, None, True), ("IVF_FLAT", 0, "failed", False), ("FLAT", 0, None, True)],
)
def test_whoever_waits_learns_whether_the_index_is_read(
    name: str, served: int, failure: str | None, *, is_served: bool
) -> None:
    plan = plan_for(GENERATION.schema.with_index(MilvusIndex(name)), (2, 3, 5))
    index = SimpleNamespace(plan=plan, failure=failure, indexed=0, segments=Segments(9_000, served))
    collection: Any = SimpleNamespace(flush=lambda: None, read_index=lambda: index)
    assert wait_for_index(collection, 10_000) is is_served


@pytest.mark.parametrize("name, m, fills", [("IVF_FLAT", None, 3), ("IVF_PQ", 1, 1)])
def test_what_cannot_be_measured_is_not_tried_at_each_look_and_each_write(
    monkeypatch: pytest.MonkeyPatch, name: str, m: int | None, fills: int
) -> None:
    """IVF_PQ of which a record was replaced before it was calibrated. Each try counts all records."""
    plan, filled = plan_for(GENERATION.schema.with_index(MilvusIndex(name, m=m)), (2, 3, 5)), list[int]()
    follower = replace(FOLLOWER, plan=json.loads(dump_plan(plan)), ef=None)
    segments = Segments(20_000, 20_000, removed=1)
    index = SimpleNamespace(plan=plan, failure=None, indexed=20_000, segments=segments)
    collection = SimpleNamespace(flush=lambda: None, read_index=lambda: index, read_segments=lambda after: segments)
    feeder: Any = SimpleNamespace(
        fill=lambda *_: filled.append(1), open=lambda *_: collection, drop_left=lambda: None,
        run_round=lambda _: Round(),
    )  # fmt: skip
    table: Any = SimpleNamespace(read=lambda *_: follower, read_lag=lambda *_: (0, 0.0))
    client: Any = SimpleNamespace(options=SimpleNamespace(index_min_rows=10_000))
    milvus: Any = SimpleNamespace(place=FOLLOWER.place)
    nothing: Any = SimpleNamespace(get=lambda _: None)
    upkeep = FollowedUpkeep(
        client, nothing, nothing, nothing, milvus=milvus, feeder=feeder, table=table, forget=lambda _: None
    )
    monkeypatch.setattr(upkeep_module, "list_graphs", lambda *_: [])
    monkeypatch.setattr(upkeep, "_builder", lambda _: SimpleNamespace(remove=lambda graphs: None))
    monkeypatch.setattr(upkeep, "_lock", lambda _: nullcontext())
    monkeypatch.setattr(upkeep, "_read_description", lambda generation: generation)
    monkeypatch.setattr(upkeep, "_count_up_to", lambda *_: 20_000)
    monkeypatch.setattr(upkeep, "keep_count", lambda _: None)
    for _ in range(2):
        upkeep.follow(GENERATION, lambda *_: None)
    upkeep.tend(GENERATION, None)
    assert len(filled) == fills
