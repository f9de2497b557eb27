"""What decides, without a server: when a count says that records are lost, who waits for whom, and how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from vecstore import BackendUnavailable, Schema, StoreCorrupt, StoreLocked, StoreNotFound, Timeout
from vecstore.backend import Generation
from vecstore.backends.postgres.followed.counts import check_all, check_count
from vecstore.backends.postgres.followed.feeding import PATIENCE, Feeder, Round
from vecstore.backends.postgres.followed.follower import Follower
from vecstore.backends.postgres.followed.outages import Outages
from vecstore.following import Follow

FOLLOWER = Follower("milvus://h:1/default", True, "c", {}, None, None, None, 7, 0, 100, 7, None, 16)
GENERATION = Generation("a" * 32, Schema(dim=2))


def make_collection(count: Callable[[], int]) -> Any:
    return SimpleNamespace(count=lambda *, after: count())


def read_same() -> Follower:
    return FOLLOWER


def test_records_that_are_inserted_while_they_are_counted_are_not_lost() -> None:
    state = {"rows": 100, "notes": 0}

    def look(name: str) -> Callable[[], int]:
        def count() -> int:
            found = state.get(name, 100)
            state["rows"] += 5
            state["notes"] += 5
            return found

        return count

    assert check_all(make_collection(look("fed")), FOLLOWER, read_same, look("rows"), look("notes")) == 100


def test_records_that_are_lost_are_noticed() -> None:
    collection = make_collection(lambda: 99)
    with pytest.raises(StoreCorrupt, match="99 of 100"):
        check_all(collection, FOLLOWER, read_same, lambda: 100, lambda: 0)
    with pytest.raises(StoreCorrupt, match="99 of 100"):
        check_count(collection, FOLLOWER, read_same)


@pytest.mark.parametrize("changed", [{"counted": None}, {"counted_at": 6}])
def test_a_number_of_another_time_is_compared_with_nothing(changed: dict[str, Any]) -> None:
    assert not check_count(make_collection(lambda: pytest.fail("counted")), replace(FOLLOWER, **changed), read_same)


def test_while_a_round_is_under_way_nothing_is_missing() -> None:
    feeding = replace(FOLLOWER, unfinished=0.1)
    assert not check_count(make_collection(lambda: 97), feeding, lambda: feeding)


@pytest.mark.parametrize("changed", [{"applied": 8}, {"unfinished": 0.1}])
def test_records_that_a_round_removed_while_they_were_counted_are_not_lost(changed: dict[str, Any]) -> None:
    def read() -> Follower:
        return replace(FOLLOWER, **changed)

    check_count(make_collection(lambda: 97), FOLLOWER, read)
    assert check_all(make_collection(lambda: 97), FOLLOWER, read, lambda: 100, lambda: 0) == 97


def test_each_round_that_did_not_end_is_waited_for_however_many_there_were() -> None:
    nothing: Any = SimpleNamespace(namespace="n")
    feeder = Feeder(nothing, nothing, nothing, nothing)
    first = feeder._wait_for_dead(GENERATION, replace(FOLLOWER, unfinished=45.0))
    assert first == pytest.approx(PATIENCE + 1, abs=0.5)
    feeder._seen[GENERATION.id] = time.monotonic() - 60
    assert feeder._wait_for_dead(GENERATION, replace(FOLLOWER, unfinished=105.0)) == 0
    later = feeder._wait_for_dead(GENERATION, replace(FOLLOWER, unfinished=2.0))
    assert later == pytest.approx(PATIENCE + 1, abs=0.5)
    assert feeder._wait_for_dead(GENERATION, FOLLOWER) == 0
    assert not feeder._seen


def test_a_round_that_began_an_hour_ago_is_over() -> None:
    nothing: Any = SimpleNamespace(namespace="n")
    feeder = Feeder(nothing, nothing, nothing, nothing)
    assert feeder._wait_for_dead(GENERATION, replace(FOLLOWER, unfinished=3_599.0)) == pytest.approx(1)
    assert feeder._wait_for_dead(GENERATION, replace(FOLLOWER, unfinished=3_601.0)) == 0


def test_one_search_tries_an_engine_that_failed_and_the_others_do_not_wait() -> None:
    outages = Outages(30.0)
    assert outages.take_turn()
    assert outages.take_turn()
    outages.rest(BackendUnavailable("gone"))
    assert not outages.take_turn()
    assert not outages.can_ask("c")
    outages._rests_until = 0.0
    assert outages.can_ask("c")
    assert [outages.take_turn() for _ in range(3)] == [True, False, False]
    outages.rest(Timeout("late"))
    assert outages._rests_until > time.monotonic() + 20
    outages.end_rest()
    assert outages.take_turn()


def test_that_milvus_does_not_answer_is_a_warning_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vecstore.follow")
    outages = Outages(30.0)
    for _ in range(3):
        outages.rest(BackendUnavailable("gone"))
    outages.end_rest()
    outages.end_rest()
    for waiting in (10_000, 10_001, 10_001, 3, 2):
        outages.compare_waiting("g", waiting)
    lines = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert [level for level, _ in lines] == ["WARNING", "INFO", "WARNING", "INFO"]
    for (_, line), words in zip(lines, ("does not answer", "again", "vecstore follow", "caught up"), strict=True):
        assert words in line


@pytest.mark.parametrize("is_short", [False, True])
def test_a_collection_that_is_whole_again_is_asked_again(caplog: pytest.LogCaptureFixture, *, is_short: bool) -> None:
    caplog.set_level("INFO", "vecstore.follow")
    outages = Outages(30.0)
    for _ in range(2):
        outages.lose("c", StoreCorrupt("gone"), is_short=is_short)
    outages.find_again("c")  # by a search that had begun before
    assert not outages.can_ask("c")
    assert outages.can_ask("another")
    outages._lost["c"] = 0.0
    assert outages.can_ask("c")
    assert outages.stays_short("c", is_whole=False) is is_short
    assert outages.can_ask("c") is not is_short
    outages._lost["c"] = 0.0
    assert not outages.stays_short("c", is_whole=True)
    outages.find_again("c")
    assert not outages.stays_short("c", is_whole=False)
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]


def test_a_count_is_believed_whoever_asked_meanwhile() -> None:
    outages = Outages(30.0)
    outages.lose("c", StoreCorrupt("short"), is_short=True)
    outages._lost["c"] = 0.0  # half a minute later
    assert outages.stays_short("c", is_whole=False)  # to another search, while this one counts
    assert not outages.stays_short("c", is_whole=True)
    outages.find_again("c")
    assert outages.can_ask("c")
    assert not outages.stays_short("c", is_whole=False)


def test_a_follower_outlives_the_loss_of_its_database_and_of_a_store() -> None:
    answers: list[Any] = [["a"], BackendUnavailable("gone"), ["b"]]

    def list_names() -> list[str]:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return list(found)

    def open_store(name: str) -> Any:
        raise StoreNotFound(name)

    follow = Follow(list_names, open_store)
    for _ in range(3):
        assert follow.run_once() == []
        follow._look_at = 0.001
    assert answers == []
    answers.append(BackendUnavailable("gone"))
    with pytest.raises(BackendUnavailable):
        Follow(list_names, open_store).run_once()


@pytest.mark.parametrize("failures, message", [(2, None), (3, "gone")])
def test_a_copy_goes_on_where_a_collection_is_gone(
    monkeypatch: pytest.MonkeyPatch, failures: int, message: str | None
) -> None:
    outcomes: list[Round | Exception] = [StoreLocked("another process feeds")]
    outcomes += [*(StoreCorrupt("gone") for _ in range(failures)), Round(1)]
    table: Any = SimpleNamespace(
        namespace="n", read=lambda *_: replace(FOLLOWER, incoming="d") if outcomes else FOLLOWER
    )
    nothing: Any = SimpleNamespace()
    feeder = Feeder(nothing, nothing, nothing, table)

    def run_round(generation: Generation) -> Round:
        found = outcomes.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(feeder, "run_round", run_round)
    with nullcontext() if message is None else pytest.raises(StoreCorrupt, match=message):
        feeder.fill(GENERATION, 1, None)
    assert len(outcomes) == (0 if message is None else 1)
