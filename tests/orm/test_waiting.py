"""Waiting for a worker, a worker in a thread, and how fast it is."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from vecstore import BackendUnavailable, Timeout
from vecstore.orm.worker import SyncWorker
from vecstore.orm.worker_thread import WorkerThread

from .application import Application


def test_a_worker_in_a_thread(app: Application) -> None:
    worker = app.vectors.run_worker()
    with worker:
        app.add(5)
        with app.sessions() as session:
            app.vectors.wait(session, timeout=20)
        assert app.stored() == app.expected()
        states = [worker.is_alive]
    states.append(worker.is_alive)
    assert worker.settled == 5
    assert worker.rate > 0
    assert states == [True, False]
    worker.close()


def test_who_waits_wakes_the_worker(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.orm.worker_thread.POLL", 1_000.0)
    with app.vectors.run_worker():
        with app.engine.begin() as connection:  # which tells nobody of its change
            connection.execute(text("INSERT INTO article (title, lang) VALUES ('wake up', 'en')"))
        app.vectors.wait(timeout=20)
    assert app.stored() == app.expected() != {}


def test_a_worker_outlives_its_failures_and_rests_longer_after_each(
    app: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    work, outcomes = SyncWorker.work, [BackendUnavailable("gone"), BackendUnavailable("gone"), None]
    outcomes.append(BackendUnavailable("gone again"))

    def fail_or_work(worker: SyncWorker) -> int:
        failure = outcomes.pop(0) if outcomes else None
        if failure is not None:
            raise failure
        return work(worker)

    monkeypatch.setattr("vecstore.orm.worker_thread.POLL", 0.002)
    monkeypatch.setattr(SyncWorker, "work", fail_or_work)
    app.add(1)
    with app.vectors.run_worker():
        app.vectors.wait(timeout=20)
        while outcomes:
            app.vectors._wake()
            app.vectors.wait(timeout=20)
        app.add(1)
        app.vectors.wait(timeout=20)
    told = [each.args for each in caplog.records if each.name == "vecstore.orm"]
    rests = [each[0] for each in told if isinstance(each, tuple)]
    assert rests == [0.004, 0.008, 0.004]


def test_waiting_without_a_worker_is_a_timeout(app: Application) -> None:
    app.vectors.wait(timeout=0)
    app.add(2)
    with pytest.raises(Timeout, match=r"2 changes are not in their stores.*run_worker"):
        app.vectors.wait(timeout=0)


def test_waiting_includes_what_is_leased(app: Application) -> None:
    app.add(1)
    app.vectors._outbox.claim(app.engine, ["article.search"], 10, 60)
    with pytest.raises(Timeout):
        app.vectors.wait(timeout=0)


def test_waiting_does_not_include_what_is_committed_later(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    def work_and_add(seconds: float) -> None:
        app.vectors.sync_once()
        app.add(1)

    app.add(1)
    monkeypatch.setattr(
        "vecstore.orm.vector_orm.time", SimpleNamespace(monotonic=time.monotonic, sleep=work_and_add), raising=True
    )
    app.vectors.wait(timeout=20)
    assert len(app.noted()) == 1


def test_waiting_does_not_include_what_is_not_committed(app: Application) -> None:
    with app.sessions() as session:
        session.add(app.Article(title="not yet", lang="en"))
        session.flush()
        app.vectors.wait(session, timeout=0)
        session.rollback()


def test_a_rate_is_that_of_the_last_minute(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [1_000.0]
    clock = SimpleNamespace(monotonic=lambda: moment[0])
    monkeypatch.setattr("vecstore.orm.worker_thread.time", clock)
    worker = app.vectors.run_worker()
    worker.close()  # its thread would count a change only after the change is settled
    moment[0] += 10
    app.add(20)
    work_off(worker, 20)
    assert worker.rate == pytest.approx(2)
    moment[0] += 61
    assert worker.rate == 0
    app.add(1)
    work_off(worker, 21)
    assert [began for began, _ in worker._done] == [1_071]


def work_off(worker: WorkerThread, changes: int) -> None:
    """Work as the thread does, until so many changes were worked off by it since it began."""
    while worker.settled < changes:
        assert worker._work()
