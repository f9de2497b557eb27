"""The turnstile of searching threads: one passes at a time, and nobody waits for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from vecstore import turnstile
from vecstore.testing.forks import forked
from vecstore.turnstile import Turn, outside_turn

PATIENCE = 20.0
"""Longer than a test lasts."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(turnstile, "_PATIENCE", PATIENCE)
    monkeypatch.setattr(turnstile, "_LONG", PATIENCE)
    turnstile._start_over()
    yield
    turnstile._start_over()


class Passer(threading.Thread):
    """Takes a turn, and keeps it until it may go."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.is_in, self.may_go = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with Turn():
            self.is_in.set()
            assert self.may_go.wait(PATIENCE)

    def leave(self) -> None:
        self.may_go.set()
        self.join(PATIENCE)
        assert not self.is_alive()


def test_one_passes_at_a_time() -> None:
    with Turn():
        other = Passer()
        assert not other.is_in.wait(0.05)
    assert other.is_in.wait(PATIENCE)
    other.leave()


def test_who_computes_elsewhere_leaves_its_turn_and_takes_another() -> None:
    with Turn():
        with outside_turn():
            other = Passer()
            assert other.is_in.wait(PATIENCE)
            other.leave()
        assert turnstile._gate.lock.locked()
    assert not turnstile._gate.lock.locked()


def test_a_turn_inside_a_turn_is_the_same() -> None:
    with Turn():
        with Turn():
            pass
        assert turnstile._gate.lock.locked()
    assert not turnstile._gate.lock.locked()


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an interrupt came before a turn could be given up."""
    stuck = turnstile._gate
    assert stuck.lock.acquire()
    monkeypatch.setattr(turnstile, "_OPEN", 0.0)
    monkeypatch.setattr(turnstile, "_PATIENCE", 0.001)
    with Turn():
        pass
    monkeypatch.setattr(turnstile, "_PATIENCE", PATIENCE)
    began = time.monotonic()
    with Turn():
        assert turnstile._gate.lock.locked()
    assert turnstile._gate is not stuck
    assert time.monotonic() - began < PATIENCE


def test_after_a_long_turn_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "_LONG", -1.0)
    monkeypatch.setattr(turnstile, "_OPEN", PATIENCE)
    with Turn():
        pass
    others = [Passer(), Passer()]
    assert all(each.is_in.wait(PATIENCE) for each in others)
    for each in others:
        each.leave()


def test_a_turn_ends_with_an_error() -> None:
    with pytest.raises(ValueError, match="search"), Turn():
        raise ValueError("search")
    assert not turnstile._gate.lock.locked()
    with pytest.raises(ValueError, match="walk"), Turn(), outside_turn():
        raise ValueError("walk")
    assert not turnstile._gate.lock.locked()


def test_who_waits_passes_when_a_long_turn_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "_LONG", -1.0)
    monkeypatch.setattr(turnstile, "_OPEN", PATIENCE)
    with Turn():
        others = [Passer(), Passer()]
        assert not any(each.is_in.wait(0.02) for each in others)
    assert all(each.is_in.wait(PATIENCE / 4) for each in others)
    for each in others:
        each.leave()


def test_nobody_waits_again_while_turns_are_longer_than_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "_PATIENCE", 0.001)
    monkeypatch.setattr(turnstile, "_OPEN", PATIENCE)
    long = Passer()
    assert long.is_in.wait(PATIENCE)
    with Turn():
        assert turnstile._gate.open_until > time.monotonic()
    long.leave()
    assert turnstile._gate.open_until > time.monotonic()


def test_a_long_queue_that_moves_keeps_its_gate() -> None:
    class Moving:
        """Lets another thread pass while the first one waits in vain."""

        def acquire(self, *, timeout: float) -> bool:
            gate.lock = threading.Lock()
            passer = Passer()
            assert passer.is_in.wait(PATIENCE)
            passer.leave()
            return False

    gate = turnstile._gate
    gate.lock = Moving()  # type: ignore[assignment]
    with Turn():
        assert turnstile._gate is gate
    assert not gate.open_until


def test_a_forked_child_waits_for_no_thread_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "_PATIENCE", 0.001)

    def search() -> None:
        with Turn():
            assert turnstile._gate.lock.locked()

    other = Passer()
    assert other.is_in.wait(PATIENCE)
    forked(search)
    other.leave()


def test_an_interrupt_of_who_waits_leaves_no_turn_behind() -> None:
    class Interrupted:
        def acquire(self, *, timeout: float) -> bool:
            raise KeyboardInterrupt

    turnstile._gate.lock = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt), Turn():
        pass
    turnstile._start_over()
    with Turn():
        assert turnstile._gate.lock.locked()
    assert not turnstile._gate.lock.locked()
