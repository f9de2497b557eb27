"""SQLite has one writer at a time: no transaction of ours reads before it writes, and a lock is waited for."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from vecstore import MigrationRequired
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorColumn, VectorORM, busy_database, searchable, vector_orm

from .application import DIM, embed_words, make_engine, open_application
from .test_rebuild import Deployed, Model

WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "WITH")
"""What our statements that write begin with."""


APPLICATION = """
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from tests.orm.application import embed_words, make_models
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorORM

base, models = make_models()
places = dict.fromkeys(("articles", "pages", "tags", "items"), "file:./vectors")
vectors = VectorORM(base, embedder=FunctionEmbedder(embed_words, dim=64, name="words"), stores=places)
engine = create_engine("sqlite:///app.db?timeout=0")
base.metadata.create_all(engine)
vectors.install(sessionmaker(engine))
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Transactions begin when they say so, as SQLAlchemy's manual advises, and nobody waits for a lock."""
    engine = make_engine(f"sqlite:///{tmp_path / 'app.db'}?timeout=0")

    @event.listens_for(engine, "connect")
    def leave_transactions_alone(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    yield engine
    engine.dispose()


@contextmanager
def watch(engine: Engine) -> Iterator[list[list[str]]]:
    """Collect the statements of each transaction."""
    found: list[list[str]] = []

    def begin(connection: Any) -> None:
        connection.info["statements"] = []
        found.append(connection.info["statements"])

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement != "BEGIN":
            connection.info["statements"].append(statement.split()[0])

    event.listen(engine, "begin", begin, insert=True)
    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "begin", begin)
    event.remove(engine, "before_cursor_execute", note)


def check_order(transactions: list[list[str]]) -> None:
    writing = [each for each in transactions if any(word in WRITES for word in each)]
    assert writing
    assert [each for each in writing if each[0] not in WRITES] == []


@contextmanager
def open_beside(engine: Engine) -> Iterator[sqlite3.Connection]:
    """Connect as another program does."""
    with closing(sqlite3.connect(engine.url.database or "", isolation_level=None)) as other:
        yield other


class Listener(logging.Handler):
    """Says when a worker has logged that it will try again."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "tries again" in record.getMessage():
            self.heard.set()


def test_no_transaction_reads_before_it_writes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_orm, "_PAGE", 2)
    with open_application(engine) as app:
        app.add(5)
        with watch(engine) as seen:
            app.check()
            assert app.vectors.backfill(app.Article.search) == 5
            app.vectors.sync_once()
            app.store().delete(ids=["1"])
            with open_beside(engine) as other:
                other.execute(f'DROP TRIGGER "{find_trigger(other)}"')
            assert not app.vectors.verify(fix=True)[0].ok
            app.check()
            app.vectors.retry()
            app.vectors.status()
        check_order(seen)


def find_trigger(connection: sqlite3.Connection) -> str:
    (name,) = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' LIMIT 1").fetchone()
    return str(name)


def test_nor_of_vectors_in_rows(engine: Engine) -> None:
    both = Deployed(engine, Model("old"), Model("new"))
    both.add("tea", "rice")

    def forget(*progress: object) -> None:
        """Let a rebuild find rows that no worker saw."""
        if not forgotten:
            with open_beside(engine) as other:
                forgotten.append(other.execute("DELETE FROM vecstore_digest WHERE target LIKE '%@next'").rowcount)

    forgotten: list[int] = []
    with watch(engine) as seen:
        both.vectors.sync_once()
        assert both.vectors.rebuild(both.Article.search, on_progress=forget).changed
        assert forgotten == [2]
        both.add("a train")
        both.vectors.sync_once()
        both.vectors.backfill()
        both.vectors.sync_once()  # the vectors are there, and their rows are noted for the other column
        both.vectors.verify(fix=True)
        both.vectors.rollback(both.Article.search)
        assert both.vectors.rebuild(both.Article.search).changed
        assert both.vectors.drop_previous(both.Article.search)
    check_order(seen)
    assert both.find()[0][0] == "tea"


def test_nor_of_a_session_that_embeds(engine: Engine) -> None:
    class Base(DeclarativeBase):
        pass

    class Page(Base):
        __tablename__ = "page"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str]
        embedding: Mapped[np.ndarray | None] = VectorColumn()
        search = searchable("body", into="embedding", freshness="inline")

    with VectorORM(Base, embedder=FunctionEmbedder(embed_words, dim=DIM, name="words")) as vectors:
        Base.metadata.create_all(engine)
        sessions = vectors.install(sessionmaker(engine))
        with watch(engine) as seen, sessions.begin() as session:
            session.add(Page(body="tea"))
        check_order(seen)
        with sessions() as session:
            assert session.scalars(select(Page.embedding)).one() is not None


def test_a_worker_goes_on_after_a_lock(engine: Engine) -> None:
    logger, listener, embedded = logging.getLogger("vecstore.orm"), Listener(), threading.Event()
    with open_application(engine) as app, open_beside(engine) as other:
        app.add(3)
        app.texts.hook = lambda texts: embedded.set()
        other.execute("BEGIN IMMEDIATE")
        logger.addHandler(listener)
        try:
            with app.vectors.run_worker() as worker:
                assert listener.heard.wait(60)
                other.execute("ROLLBACK")
                assert embedded.wait(60)
        finally:
            logger.removeHandler(listener)
        assert worker.settled == 3
        app.check()


def test_a_text_is_not_embedded_again_because_of_a_lock(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    model, rests = Model("old"), list[float]()
    deployed = Deployed(engine, model)
    deployed.add("tea", "rice")
    with open_beside(engine) as other:

        def rest(seconds: float) -> None:
            rests.append(seconds)
            if len(rests) == 2:
                other.execute("ROLLBACK")

        def hold() -> None:
            other.execute("BEGIN IMMEDIATE")

        model.hook = hold
        monkeypatch.setattr(busy_database, "time", SimpleNamespace(sleep=rest))
        deployed.vectors.sync_once()
    assert len(rests) == 2
    assert sorted(model.seen) == ["rice", "tea"]
    assert all(vector is not None for vector in deployed.read().values())


def test_what_is_no_lock_is_not_tried_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(busy_database, "time", SimpleNamespace(sleep=rests.append))
    with open_application(engine) as app:
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE vecstore_outbox"))
        with pytest.raises(MigrationRequired):
            app.vectors.sync_once()
    assert rests == []


def test_the_command_says_that_it_is_locked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    (tmp_path / "locked_app.py").write_text(APPLICATION)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(busy_database, "time", SimpleNamespace(sleep=lambda seconds: None))
    assert run("sync", "once", "locked_app:vectors").code == 0
    with open_beside(engine) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = run("sync", "once", "locked_app:vectors")
    assert answer.code == 3
    assert "holds the lock" in answer.err
