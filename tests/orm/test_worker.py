"""The worker: fences, leases, faults of rows and of services."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import String, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

import vecstore
from vecstore import DeadLetters, Flat, InvalidArgument
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorORM, searchable
from vecstore.orm.outbox import Outbox
from vecstore.orm.worker import MAX_ATTEMPTS

from .application import DIM, Application, embed_words, make_engine


def make_ready(app: Application) -> None:
    """Let the leases and the delays of all rows end."""
    with app.engine.begin() as connection:
        connection.execute(text("UPDATE vecstore_outbox SET ready = 0"))


def rename(app: Application, title: str) -> None:
    with app.sessions.begin() as session:
        session.execute(update(app.Article).values(title=title))


def read_outbox(app: Application) -> list[tuple[int, bool, str | None]]:
    with app.engine.connect() as connection:
        rows = connection.execute(text("SELECT attempts, dead, reason FROM vecstore_outbox ORDER BY id")).all()
    return [(attempts, bool(dead), reason) for attempts, dead, reason in rows]


class Stalled:
    """A worker that sleeps while it embeds the first text that it is given."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._arrived, self._goes_on = threading.Event(), threading.Event()
        app.texts.hook = self._wait
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        assert self._arrived.wait(20)

    def _work(self) -> None:
        self._app.vectors._make_worker(10, 60.0).work()

    def _wait(self, texts: Sequence[str]) -> None:
        if threading.current_thread() is self._thread:
            self._arrived.set()
            assert self._goes_on.wait(20)

    def finish(self) -> None:
        self._goes_on.set()
        self._thread.join()


def interleave(app: Application) -> str | None:
    """Let a worker fall asleep with an old text, another one write the new one, and the first one wake up."""
    app.add(1)
    app.check()
    rename(app, "old")
    stalled = Stalled(app)
    rename(app, "new")
    app.vectors.sync_once()
    assert app.stored()["1"][0] == "new\n\nbody 0"
    stalled.finish()
    assert app.noted() == []
    return app.stored()["1"][0]


def test_a_stalled_worker_leaves_nothing_stale(app: Application) -> None:
    assert interleave(app) == "new\n\nbody 0"


def test_without_fences_it_would(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbox, "draw_fence", lambda self, engine: 1)
    assert interleave(app) == "old\n\nbody 0"


def test_a_stalled_worker_brings_nothing_back(app: Application) -> None:
    app.add(1)
    app.check()
    rename(app, "last words")
    stalled = Stalled(app)
    with app.sessions.begin() as session:
        session.execute(text("DELETE FROM article"))
    app.vectors.sync_once()
    stalled.finish()
    assert app.stored() == {}


def test_what_a_worker_left_is_claimed_when_its_lease_ends(app: Application) -> None:
    app.add(2)
    vectors = app.vectors
    assert len(vectors._outbox.claim(app.engine, ["article.search"], 10, 3_600)) == 2  # and then it was killed
    assert vectors.sync_once() == 0
    make_ready(app)
    assert vectors.sync_once() == 2
    app.check()


def test_an_index_is_left_until_the_worker_has_caught_up(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    tended: list[int] = []
    monkeypatch.setattr("vecstore.orm.sinks.tend_store", lambda store, changed: tended.append(changed))
    app.add(10)
    app.vectors.sync_once(batch_size=4)
    assert tended == [10]
    monkeypatch.setattr("vecstore.orm.worker.MOST_UNTENDED", 5)
    rename(app, "again")
    app.vectors.sync_once(batch_size=4)
    assert tended == [10, 8, 2]


def test_two_workers_do_not_take_the_same_rows(app: Application) -> None:
    app.add(4)
    first = app.vectors._outbox.claim(app.engine, ["article.search"], 3, 60)
    second = app.vectors._outbox.claim(app.engine, ["article.search"], 3, 60)
    assert [len(first), len(second)] == [3, 1]
    assert not {claim.id for claim in first} & {claim.id for claim in second}


def test_fences_rise(app: Application) -> None:
    drawn = [app.vectors._outbox.draw_fence(app.engine) for _ in range(3)]
    assert drawn == sorted(set(drawn))


class BadText(Exception):
    pass


def refuse_bad(texts: Sequence[str]) -> None:
    if any("bad" in each for each in texts):
        raise BadText("with the text in it")


def test_a_bad_text_does_not_block_the_rest(app: Application) -> None:
    app.add(9)
    with app.sessions.begin() as session:
        session.execute(update(app.Article).where(app.Article.id == 5).values(title="bad"))
    app.texts.hook = refuse_bad
    app.vectors.sync_once()
    assert set(app.stored()) == {str(n) for n in range(1, 10)} - {"5"}
    assert read_outbox(app) == [(1, False, "BadText")] * 2  # it was added and changed
    for _ in range(MAX_ATTEMPTS):
        make_ready(app)
        app.vectors.sync_once()
    assert [dead for _, dead, _ in read_outbox(app)] == [True, True]
    with pytest.raises(DeadLetters, match="2 changed rows were given up"):
        app.vectors.wait()
    app.texts.hook = None
    assert app.vectors.retry() == 2
    app.check()


def test_a_later_change_mends_a_dead_letter(app: Application) -> None:
    app.add(1, title="bad")
    app.texts.hook = refuse_bad
    for _ in range(MAX_ATTEMPTS):
        make_ready(app)
        app.vectors.sync_once()
    assert read_outbox(app)[0][1]
    rename(app, "good")
    app.check()


def test_a_fault_of_the_service_burns_no_attempts(app: Application) -> None:
    class TooMany(Exception):
        status_code = 429

    def refuse(texts: Sequence[str]) -> None:
        raise error

    app.add(3)
    app.texts.hook = refuse
    for error in (ConnectionError(), TooMany(), BadText("also the probe fails")):
        worker = app.vectors._make_worker(10, 60.0)
        assert worker.work() == 3
        assert worker.work() == 0  # a pause
        assert read_outbox(app) == [(0, False, type(error).__name__)] * 3
        make_ready(app)
    app.texts.hook = None
    app.check()


def test_a_key_that_is_no_id_is_a_dead_letter(app: Application) -> None:
    with app.sessions.begin() as session:
        session.add(app.Tag(name="x" * 600, about="too long a name"))
        session.add(app.Tag(name="y", about="a name"))
    app.vectors.sync_once()
    assert list(app.stored("tags")) == ["y"]
    [(_, dead, reason)] = read_outbox(app)
    assert dead
    assert reason is not None
    assert reason.startswith("InvalidId")


def test_what_another_release_declares_is_left_to_it(app: Application) -> None:
    with app.engine.begin() as connection:
        connection.execute(text("INSERT INTO vecstore_outbox (target, key, entered) VALUES ('other.search', '[1]', 0)"))
    app.vectors.sync_once()
    assert app.noted() == [("other.search", "[1]")]


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": 1.5}, {"lease": 0}, {"lease": "a"}])
def test_wrong_options(app: Application, options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        app.vectors.run_worker(**options)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="timeout"):
        app.vectors.wait(timeout=-1)


def test_a_key_that_the_database_finds_although_it_is_another_one(sqlite_url: str) -> None:
    class Base(DeclarativeBase):
        pass

    class Tag(Base):
        __tablename__ = "tag"
        name: Mapped[str] = mapped_column(String().with_variant(String(collation="RTRIM"), "sqlite"), primary_key=True)
        about: Mapped[str]
        search = searchable("about", into="store:tags", index=Flat())

    engine = make_engine(sqlite_url)
    embedder = FunctionEmbedder(embed_words, dim=DIM, name="words")
    with (
        vecstore.connect("memory:") as database,
        VectorORM(Base, embedder=embedder, stores={"tags": database}) as vectors,
    ):
        Base.metadata.create_all(engine)
        sessions = vectors.install(sessionmaker(engine))
        with sessions.begin() as session:
            session.add(Tag(name="tea  ", about="leaves"))
        vectors.sync_once()
        with engine.begin() as connection:
            vectors._outbox.note(connection, "tag.search", ['["tea"]', '["tea "]', '["tea  "]', '["beer"]'])
        # In its own batch a key that the trigger cut off is given up, and says so; nothing is acknowledged as gone.
        with engine.begin() as connection:
            connection.execute(text("UPDATE vecstore_outbox SET ready = 1e12 WHERE key <> :key"), {"key": '["tea"]'})
        vectors.sync_once()
        status = vectors.status()["Tag.search"]
        assert (status.dead, status.pending) == (1, 3)
        assert "pads the key with spaces" in (status.reason or "")
        with engine.begin() as connection:
            connection.execute(text("UPDATE vecstore_outbox SET ready = 0 WHERE key <> :key"), {"key": '["tea"]'})
        vectors.sync_once()
        assert vectors.status()["Tag.search"].pending == 0
        assert [record.id for record in database.open("tags").scan()] == ["tea  "]
    engine.dispose()
