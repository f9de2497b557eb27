"""``freshness="inline"``: the session that changes a row embeds it, and nothing of a rollback stays."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import vecstore
from vecstore import Database, Flat, InvalidArgument
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import Chunks, VectorColumn, VectorORM, searchable

from .application import DIM, Texts, embed_words, load


@dataclass
class Diary:
    engine: Engine
    vectors: VectorORM
    sessions: sessionmaker[Session]
    Note: Any
    Page: Any
    texts: Texts
    database: Database

    def stored(self) -> dict[str, str | None]:
        return {record.id: record.text for record in self.database.open("notes").scan()}

    def pages(self) -> dict[str | None, Any]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(self.Page.body, self.Page.embedding)).all()
            return {body: vector for body, vector in rows}  # noqa: C416 - a row is no pair to mypy

    def check(self) -> None:
        """Check that each row has the vector of its text, and that a worker finds nothing to embed."""
        with self.engine.connect() as connection:
            wanted = {str(key): body for key, body in connection.execute(select(self.Note.id, self.Note.body))}
        assert self.stored() == wanted
        for body, vector in self.pages().items():
            assert (vector is None) == (body is None)
            if body is not None:
                assert np.allclose(vector, embed_words([body])[0])
        seen = len(self.texts.seen)
        self.vectors.sync_once()
        assert len(self.texts.seen) == seen
        assert all(check.ok for check in self.vectors.verify())


@pytest.fixture
def diary(engine: Engine) -> Iterator[Diary]:
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str]
        search = searchable("body", into="store:notes", index=Flat(), freshness="inline")

    class Page(Base):
        __tablename__ = "page"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str | None]
        embedding: Mapped[np.ndarray | None] = VectorColumn()
        search = searchable("body", into="embedding", freshness="inline")

    texts = Texts()
    with vecstore.connect("memory:") as database:
        embedder = FunctionEmbedder(texts.embed, dim=DIM, name="words")
        with VectorORM(Base, embedder=embedder, stores={"notes": database}) as vectors:
            Base.metadata.create_all(engine)
            sessions = vectors.install(sessionmaker(engine))
            with sessions.begin() as session:
                session.add(Note(body="first"))  # makes the store
            yield Diary(engine, vectors, sessions, Note, Page, texts, database)


def test_what_is_committed_is_found(diary: Diary) -> None:
    with diary.sessions.begin() as session:
        session.add_all([diary.Note(body="red apple"), diary.Page(body="red apple"), diary.Page(body=None)])
    with diary.sessions() as session:
        for model in (diary.Note, diary.Page):
            [(row, _), *_] = diary.vectors.search(session, model.search, "red apple", k=1)
            assert row.body == "red apple"
    diary.check()
    with diary.sessions.begin() as session:
        load(session, diary.Note, 2).body = "green pear"
        load(session, diary.Page, 1).body = "green pear"
        load(session, diary.Page, 2).body = "blue plum"
    diary.check()
    with diary.sessions.begin() as session:
        load(session, diary.Page, 1).body = None
        session.delete(load(session, diary.Note, 2))
    diary.check()
    assert diary.stored() == {"1": "first"}


def test_a_vector_in_the_row_is_there_before_the_commit(diary: Diary) -> None:
    with diary.sessions() as session:
        session.add(diary.Page(body="red apple"))
        session.flush()
        [(row, _)] = diary.vectors.search(session, diary.Page.search, "red apple")
        assert row.body == "red apple"
        session.rollback()
    diary.check()
    with diary.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM vecstore_digest")).scalar_one() == 0


def test_a_rollback_leaves_nothing(diary: Diary) -> None:
    with diary.sessions() as session:
        session.add_all([diary.Note(body="never"), diary.Page(body="never")])
        session.flush()
        session.rollback()
    diary.check()
    assert (diary.stored(), diary.pages()) == ({"1": "first"}, {})


def test_savepoints(diary: Diary) -> None:
    with diary.sessions.begin() as session:
        session.add_all([diary.Note(body="old"), diary.Page(body="old")])
    with diary.sessions.begin() as session:
        note, page = load(session, diary.Note, 2), load(session, diary.Page, 1)
        with session.begin_nested():
            note.body = page.body = "kept"
        assert diary.stored()["2"] == "old"  # the release of a savepoint is no commit
        with session.begin_nested() as inner:
            note.body = page.body = "given up"
            session.add_all([diary.Note(body="given up"), diary.Page(body="given up")])
            session.flush()
            inner.rollback()
    diary.check()
    assert diary.stored() == {"1": "first", "2": "kept"}
    with diary.sessions() as session:
        session.add(diary.Page(body="lost"))
        session.flush()  # the driver of SQLite begins a transaction with the first change, not with a savepoint
        with session.begin_nested():
            session.add_all([diary.Note(body="lost"), diary.Page(body="lost")])
        session.rollback()
    diary.check()
    assert set(diary.pages()) == {"kept"}


def test_what_no_flush_sees(diary: Diary) -> None:
    with diary.sessions.begin() as session:
        session.execute(insert(diary.Note), [{"body": "a"}, {"body": "b"}])
        session.execute(insert(diary.Page), [{"body": "a"}, {"body": "b"}])
    diary.check()
    with diary.sessions.begin() as session:
        session.execute(update(diary.Page).values(body=diary.Page.body + " more"))
        session.execute(delete(diary.Note).where(diary.Note.body == "a"))
        session.bulk_save_objects([diary.Note(body="c"), diary.Page(body="c")])
        session.add(diary.Page(body=func.upper("shout")))
    diary.check()
    assert set(diary.pages()) == {"a more", "b more", "c", "SHOUT"}


def test_an_embedder_that_fails_does_not_fail_the_application(diary: Diary) -> None:
    def refuse(texts: Sequence[str]) -> None:
        raise OSError

    diary.texts.hook = refuse
    with diary.sessions.begin() as session:
        session.add_all([diary.Note(body="later"), diary.Page(body="later")])
    assert (diary.stored(), diary.pages()) == ({"1": "first"}, {"later": None})
    diary.texts.hook = None
    diary.vectors.retry()
    with diary.engine.begin() as connection:
        connection.execute(text("UPDATE vecstore_outbox SET ready = 0"))
    diary.vectors.sync_once()
    diary.check()
    assert diary.stored()["2"] == "later"


def test_a_stalled_worker_does_not_undo_it(diary: Diary) -> None:
    with diary.engine.begin() as connection:  # no session sees it
        connection.execute(insert(diary.Note.__table__).values(id=2, body="old"))
    arrived, goes_on = threading.Event(), threading.Event()

    def wait(texts: Sequence[str]) -> None:
        if threading.current_thread() is thread:
            arrived.set()
            assert goes_on.wait(20)

    diary.texts.hook = wait
    thread = threading.Thread(target=lambda: diary.vectors._make_worker(10, 60.0).work())
    thread.start()
    assert arrived.wait(20)
    with diary.sessions.begin() as session:
        load(session, diary.Note, 2).body = "new"
    goes_on.set()
    thread.join()
    diary.check()
    assert diary.stored()["2"] == "new"


def test_chunks_and_asynchronous_sessions(engine: Engine) -> None:
    class Base(DeclarativeBase):
        pass

    class Long(Base):
        __tablename__ = "long"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str]
        search = searchable("body", into="store:longs", index=Flat(), chunk=Chunks(40, 0), freshness="inline")

    if engine.dialect.name != "sqlite":
        pytest.skip("one asynchronous driver is enough")
    with vecstore.connect("memory:") as database:
        embedder = FunctionEmbedder(embed_words, dim=DIM, name="words")
        with VectorORM(Base, embedder=embedder, stores={"longs": database}) as vectors:
            Base.metadata.create_all(engine)

            async def write() -> list[Any]:
                bound = create_async_engine(engine.url.set(drivername="sqlite+aiosqlite"))
                sessions = vectors.install(async_sessionmaker(bound))
                async with sessions.begin() as session:
                    session.add(Long(body="A kettle boils water for tea.\n\nThe train leaves at eight sharp."))
                async with sessions() as session:
                    found = await session.run_sync(lambda sync: vectors.search(sync, Long.search, "the train"))
                await bound.dispose()
                return found

            [(_, hit)] = asyncio.run(write())
            assert hit.text == "The train leaves at eight sharp."


def test_another_word_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='freshness must be "worker" or "inline"'):
        searchable("body", into="embedding", freshness="now")  # type: ignore[arg-type]


def test_a_session_works_off_no_backlog(diary: Diary) -> None:
    with diary.engine.begin() as connection:
        connection.execute(insert(diary.Note.__table__), [{"body": f"text {n}"} for n in range(300)])
    diary.texts.seen.clear()
    with diary.sessions.begin() as session:
        session.execute(text("SELECT 1"))
        session.scalars(select(diary.Note)).all()
    assert diary.texts.seen == []
    with diary.sessions.begin() as session:
        session.add(diary.Note(id=1_000, body="mine"))
    assert diary.stored()["1000"] == "mine"
    assert len(diary.texts.seen) < 150
    diary.vectors.sync_once()
    diary.check()
