"""Who is fed when, and when following ends, with stores that say what they are told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from vecstore import BackendUnavailable, InvalidArgument, Schema, StoreLocked, Unsupported, following, index_wait
from vecstore.backend import Followed, Generation, IndexState
from vecstore.following import Follow, FollowedStore
from vecstore.progress import Progress

ACTIVE, BUILDING = Generation("a" * 32, Schema(dim=2)), Generation("b" * 32, Schema(dim=2), standby=True)
BUILT, UNMEASURED = Followed(built=True), Followed(copying=True)
WHY = "PostgreSQL answers searches until Milvus reads the index that it builds."
Do = Callable[["FakeStore", Progress | None], Followed]


class FakeStore:
    """A store, and the backend that it is in."""

    def __init__(self, do: Do, building: Generation | None = None, states: Sequence[IndexState] = ()) -> None:
        self.calls: list[tuple[str, bool]] = []
        self._do = do
        self._states = list(states) or [IndexState("none", 0, 0)]
        self._current = SimpleNamespace(
            backend=self,
            route=SimpleNamespace(successor=None),
            entry=SimpleNamespace(active=ACTIVE, building=building),
            look_up=lambda: None,
            read_active=lambda generation: generation,
        )

    def index_state(self, generation: Generation) -> IndexState:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]

    def follow(self, generation: Generation, on_progress: Progress | None = None) -> Followed:
        self.calls.append((generation.id[0], on_progress is not None))
        return Followed(sent=1) if generation is BUILDING else self._do(self, on_progress)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_IDLE", 0.0)
    monkeypatch.setattr(index_wait, "_LOOK", 0.0)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Generation]:
    """Let a calibration find an effort, as far as the index can be measured; return what it was asked for."""
    seen = list[Generation]()

    class Measuring:
        def __init__(self, current: Any, on_progress: Progress | None) -> None:
            self._current = current

        def finish(self, generation: Generation, *, stacklevel: int) -> Generation:
            seen.append(generation)
            is_ready = self._current.backend._states[0].state == "ready"
            return replace(generation, ef=16) if is_ready else generation

    for module in (following, index_wait):
        monkeypatch.setattr(module, "IndexCalibration", Measuring)
    return seen


def make_follow(**stores: FakeStore) -> Follow:
    opened: dict[str, Any] = dict(stores)
    return Follow(lambda: list(stores), lambda name: opened[name])


def answer(*answers: Followed | Exception, states: Sequence[IndexState] = ()) -> FakeStore:
    """Return a store that says one thing after another, and the last one for ever."""
    left = list(answers)

    def do(store: FakeStore, on_progress: Progress | None) -> Followed:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return FakeStore(do, states=states)


class Patience(threading.Event):
    """Set once it was waited for so many times."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        if self.left <= 0:
            self.set()
        return super().wait(timeout)


@pytest.mark.parametrize(
    "before",
    [Followed(pending=1, lag=100.0), Followed(copying=True), StoreLocked("another process")],
    ids=["records that wait", "a copy", "a calibration"],
)
def test_what_another_process_is_about_to_bring_is_waited_for(before: Followed | Exception) -> None:
    store = answer(before, before, Followed())
    [state] = make_follow(a=store).drain(threading.Event())
    assert state.is_done
    assert len(store.calls) == 3
    [state] = make_follow(a=answer(before)).drain(Patience(3))
    assert not state.is_done


def test_what_is_written_meanwhile_is_not_waited_for() -> None:
    store = answer(Followed(sent=5, pending=7, lag=50.0), Followed(sent=7, pending=3))
    [state] = make_follow(a=store).drain(threading.Event())
    assert (state.sent, state.pending, state.is_done) == (12, 3, True)


def test_what_is_no_event_is_refused_before_anything_is_done() -> None:
    store, wrong = answer(Followed()), list[Any]([None, 5.0])
    follow = make_follow(a=store)
    for each in wrong:
        told = rf"^stop must be a threading\.Event, .* not {type(each).__name__}\.$"
        with pytest.raises(InvalidArgument, match=told):
            follow.run(each)
        with pytest.raises(InvalidArgument, match=told):
            follow.drain(each)
    assert store.calls == []


def test_a_store_that_was_not_looked_at_is_not_done() -> None:
    stop = threading.Event()
    stop.set()
    [state] = make_follow(a=answer(Followed())).drain(stop)
    assert not state.is_done


def test_other_stores_are_fed_while_one_is_copied_and_a_copy_ends_where_it_is_told_to() -> None:
    stop, fed = threading.Event(), answer(Followed())
    reported = list[list[tuple[str, bool]]]()

    def copy(store: FakeStore, on_progress: Progress | None) -> Followed:
        if on_progress is None:
            return Followed(copying=True)
        for page in range(1_000_000):
            on_progress("indexing", page, None)
            if len(fed.calls) >= 3:
                stop.set()
        raise AssertionError("the copy went on")

    def report(found: Sequence[FollowedStore]) -> None:
        reported.append([(each.name, each.copying) for each in found])

    copied = FakeStore(copy)
    make_follow(a=copied, b=fed).run(stop, report)
    assert fed.calls == [("a", False)] * 3
    assert [whole for _, whole in copied.calls] == [True, False, False, False]
    assert reported[-1] == [("a", True), ("b", False)]


def test_feeding_others_takes_a_third_of_the_time_of_a_copy_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(following, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def feed(store: FakeStore, on_progress: Progress | None) -> Followed:
        clock.now += 1.0
        return Followed(pending=1)

    def copy(store: FakeStore, on_progress: Progress | None) -> Followed:
        if on_progress is not None:
            for page in range(100):
                clock.now += 0.1
                on_progress("indexing", page, 100)
        return Followed()

    fed = FakeStore(feed)
    make_follow(a=FakeStore(copy), b=fed).run_once()
    assert len(fed.calls) == pytest.approx(6, abs=1)  # one in each 2 s of 10 s, and one of the turn itself


def test_a_store_that_cannot_be_followed_does_not_end_the_others() -> None:
    refused, gone = answer(Unsupported("IVF_X", "Milvus", "No.")), answer(BackendUnavailable("gone"))
    fine = answer(Followed(sent=2))
    found = make_follow(a=refused, b=gone, c=fine).run_once()
    assert [(each.name, each.is_done, each.sent) for each in found] == [
        ("a", False, 0), ("b", False, 0), ("c", True, 2),
    ]  # fmt: skip
    assert "IVF_X" in (found[0].failure or "")


def test_a_store_that_a_load_fills_is_passed_over() -> None:
    fine = answer(Followed())

    def open_store(name: str) -> Any:
        if name == "a":
            raise StoreLocked("filled by a load")
        return fine

    assert [each.name for each in Follow(lambda: ["a", "b"], open_store).run_once()] == ["b"]


def test_a_generation_under_construction_is_fed_too() -> None:
    store = FakeStore(lambda *_: Followed(sent=2), building=BUILDING)
    [state] = make_follow(a=store).run_once()
    assert store.calls == [("a", True), ("b", False)]
    assert state.sent == 3


def describe(state: Any, indexed: int, reason: str | None = WHY) -> IndexState:
    return IndexState(state, 100, indexed, 10, reason=reason)


def test_the_index_is_waited_for_and_measured_as_long_as_it_grows(measured: list[Generation]) -> None:
    states = [describe("building", 0), describe("building", 50), describe("ready", 100, None)]
    store = answer(BUILT, UNMEASURED, states=states)
    [state] = make_follow(a=store).drain(threading.Event())
    assert (state.is_done, state.failure, state.reason) == (True, None, None)
    assert measured == [ACTIVE, ACTIVE]  # after the copy, when searches did not read the index, and once they did


def test_an_index_that_grows_no_further_is_said_to_be_unread(
    measured: list[Generation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_wait, "_STANDSTILL", 0.0)
    unread = {"a": answer(BUILT, UNMEASURED, states=[describe("building", 50)]),
              "b": answer(BUILT, UNMEASURED, states=[describe("building", 50)])}  # fmt: skip
    found = make_follow(**unread, c=answer(Followed(pending=1, lag=1.0), Followed())).drain(threading.Event())
    assert [(each.name, each.is_done, each.failure) for each in found] == [
        ("a", False, WHY), ("b", False, WHY), ("c", True, None),
    ]  # fmt: skip
    assert found[2].reason is not None


@pytest.mark.parametrize("state, indexed, is_done", [("building", 100, True), ("none", 0, True), ("invalid", 0, False)])
def test_what_would_not_change_is_not_waited_for(
    measured: list[Generation], state: str, indexed: int, *, is_done: bool
) -> None:
    [found] = make_follow(a=answer(Followed(), states=[describe(state, indexed)])).drain(threading.Event())
    assert (found.is_done, found.reason, found.failure) == (is_done, *((WHY, None) if is_done else (None, WHY)))


def test_whoever_stops_waiting_for_an_index_is_not_done(measured: list[Generation]) -> None:
    [state] = make_follow(a=answer(Followed(), states=[describe("building", 50)])).drain(Patience(3))
    assert (state.is_done, state.copying, state.failure) == (False, True, None)


def test_why_a_store_is_behind_is_told_until_something_was_brought() -> None:
    follow = make_follow(a=answer(BackendUnavailable("gone"), Followed(pending=3, rests=5.0), Followed(sent=3)))
    told = []
    for _ in range(3):
        [state] = follow.run_once()
        told.append((state.pending, state.failure))
        state._due = 0.0
    assert told == [(0, "gone"), (3, "gone"), (0, None)]
