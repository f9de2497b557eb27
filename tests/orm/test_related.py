"""``depends_on=``: a text that is built from related rows follows them."""

# Longer than 300 lines because one model with three kinds of relationships is used by all of these tests.

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Table,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    mapped_column,
    relationship,
    sessionmaker,
)

import vecstore
from vecstore import Database, Flat, InvalidArgument
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorORM, searchable
from vecstore.orm.captures import parse_description
from vecstore.orm.outbox import Outbox
from vecstore.orm.triggers import list_triggers, read_captures

from .application import DIM, Texts, load


@dataclass
class Shop:
    engine: Engine
    vectors: VectorORM
    sessions: sessionmaker[Session]
    models: dict[str, Any]
    texts: Texts
    database: Database

    def __getattr__(self, name: str) -> Any:
        return self.models[name]

    def expected(self) -> dict[str, str]:
        """Return what the records should be, read without the models."""
        with self.engine.connect() as connection:
            goods = connection.execute(text("SELECT shelf, number, title, maker_id FROM good")).all()
            makers = {row.id: row.name for row in connection.execute(text("SELECT id, name FROM maker"))}
            notes = connection.execute(text("SELECT shelf, number, words FROM note ORDER BY id")).all()
            tags = connection.execute(
                text("SELECT shelf, number, name FROM link JOIN tag ON tag.id = tag_id ORDER BY tag.id")
            ).all()
        found = {}
        for shelf, number, title, maker in goods:
            parts = [title, makers.get(maker, "")]
            parts += [
                ",".join(sorted(words for a, b, words in rows if (a, b) == (shelf, number))) for rows in (notes, tags)
            ]
            found[json.dumps([shelf, number])] = "\n\n".join(part for part in parts if part and part.strip())
        return found

    def check(self) -> None:
        self.vectors.sync_once()
        with self.engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM vecstore_outbox")).scalar_one() == 0
        stored = {record.id: sort_words(record.text or "") for record in self.database.open("goods").scan()}
        assert stored == self.expected()

    def noted(self) -> list[str]:
        with self.engine.connect() as connection:
            return sorted(connection.execute(text("SELECT DISTINCT key FROM vecstore_outbox")).scalars())


def sort_words(body: str) -> str:
    return "\n\n".join(",".join(sorted(part.split(","))) for part in body.split("\n\n"))


def make_models(dialect: str) -> dict[str, Any]:
    class Base(DeclarativeBase):
        pass

    class Maker(Base):
        __tablename__ = "maker"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        country: Mapped[str] = mapped_column(default="ch")

    class Tag(Base):
        __tablename__ = "tag"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf: Mapped[str | None]
        number: Mapped[int | None]
        words: Mapped[str]
        __table_args__ = (ForeignKeyConstraint(["shelf", "number"], ["good.shelf", "good.number"], ondelete="CASCADE"),)

    link = Table(
        "link",
        Base.metadata,
        Column("shelf", primary_key=True),
        Column("number", primary_key=True),
        Column("tag_id", ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True),
        ForeignKeyConstraint(["shelf", "number"], ["good.shelf", "good.number"], ondelete="CASCADE"),
    )
    join = func.string_agg if dialect == "postgresql" else func.group_concat

    class Good(Base):
        __tablename__ = "good"
        shelf: Mapped[str] = mapped_column(primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        maker_id: Mapped[int | None] = mapped_column(ForeignKey("maker.id", ondelete="SET NULL"))
        maker: Mapped[Maker | None] = relationship()
        notes: Mapped[list[Note]] = relationship(passive_deletes=True)
        tags: Mapped[list[Tag]] = relationship(secondary=link)
        search = searchable(
            "title", "maker_name", "all_notes", "all_tags", into="store:goods", index=Flat(),
            depends_on=("maker.name", "notes.words", "tags.name"),
        )  # fmt: skip

    Good.maker_name = column_property(select(Maker.name).where(Maker.id == Good.maker_id).scalar_subquery())
    Good.all_notes = column_property(
        select(join(Note.words, ",")).where(Note.shelf == Good.shelf, Note.number == Good.number).scalar_subquery()
    )
    Good.all_tags = column_property(
        select(join(Tag.name, ","))
        .where(Tag.id == link.c.tag_id, link.c.shelf == Good.shelf, link.c.number == Good.number)
        .scalar_subquery()
    )
    return {each.__name__: each for each in (Base, Maker, Tag, Note, Good)}


@pytest.fixture
def shop(engine: Engine) -> Iterator[Shop]:
    texts, models = Texts(), make_models(engine.dialect.name)
    base = models["Base"]
    with vecstore.connect("memory:") as database:
        embedder = FunctionEmbedder(texts.embed, dim=DIM, name="words")
        with VectorORM(base, embedder=embedder, stores={"goods": database}) as vectors:
            base.metadata.create_all(engine)
            sessions = vectors.install(sessionmaker(engine))
            yield Shop(engine, vectors, sessions, models, texts, database)


@pytest.fixture
def filled(shop: Shop) -> Shop:
    with shop.sessions.begin() as session:
        ada, bob = shop.Maker(name="ada"), shop.Maker(name="bob")
        red, blue = shop.Tag(name="red"), shop.Tag(name="blue")
        for number in range(1, 5):
            session.add(
                shop.Good(
                    shelf="a" if number < 3 else 'b"]#',
                    number=number,
                    title=f"good {number}",
                    maker=ada if number % 2 else bob,
                    notes=[shop.Note(words=f"note {number} {n}") for n in range(number % 3)],
                    tags=[red, blue][: number % 3],
                )
            )
    shop.check()
    return shop


def test_the_text_is_built_from_related_rows(filled: Shop) -> None:
    assert filled.expected()['["a", 2]'] == "good 2\n\nbob\n\nnote 2 0,note 2 1\n\nblue,red"


@pytest.mark.parametrize(
    "statement, keys",
    [
        ("UPDATE maker SET name = 'eve' WHERE name = 'ada'", [1, 3]),
        ("UPDATE maker SET country = 'de'", []),
        ("UPDATE maker SET name = name", []),
        ("UPDATE tag SET name = 'green' WHERE name = 'blue'", [2]),
        ("UPDATE tag SET name = 'green'", [1, 2, 4]),
        ("DELETE FROM tag WHERE name = 'red'", [1, 2, 4]),
        ("UPDATE note SET words = 'other' WHERE number = 2", [2]),
        ("DELETE FROM note WHERE number = 2", [2]),
        ("UPDATE note SET shelf = 'a', number = 2 WHERE number = 1", [1, 2]),
        ("UPDATE note SET shelf = NULL, number = NULL WHERE number = 1", [1]),
        ("INSERT INTO note (shelf, number, words) VALUES ('a', 1, 'fresh'), (NULL, NULL, 'nobody''s')", [1]),
        ("DELETE FROM link WHERE number = 1", [1]),
        ("INSERT INTO link (shelf, number, tag_id) SELECT shelf, number, 1 FROM good WHERE number = 3", [3]),
        ("UPDATE good SET maker_id = 1 WHERE number = 2", [2]),
        ("UPDATE good SET maker_id = NULL", [1, 2, 3, 4]),
        ("DELETE FROM good WHERE number = 2", [2]),
    ],
)
def test_a_change_of_related_rows_is_noted(filled: Shop, statement: str, keys: list[int]) -> None:
    with filled.engine.begin() as connection:
        connection.execute(text(statement))
    named = [["a" if key < 3 else 'b"]#', key] for key in keys]
    assert filled.noted() == sorted(json.dumps(key, separators=(",", ":")) for key in named)
    filled.check()


def test_what_sessions_do(filled: Shop) -> None:
    with filled.sessions.begin() as session:
        good = load(session, filled.Good, ("a", 1))
        good.tags = [filled.Tag(name="new"), *good.tags]
        good.notes.clear()
        good.maker.name = "zoe"
    filled.check()
    with filled.sessions.begin() as session:
        session.execute(update(filled.Tag).values(name=filled.Tag.name + "!"))
        session.execute(delete(filled.Maker).where(filled.Maker.name == "bob"))
        session.execute(insert(filled.Note), [{"shelf": "a", "number": 2, "words": "more"}])
    filled.check()
    with filled.sessions() as session:
        session.execute(update(filled.Tag).values(name="never"))
        session.rollback()
    assert filled.noted() == []


class StalledWorker:
    """A worker that has read its rows and waits before it writes."""

    def __init__(self, shop: Shop) -> None:
        self._arrived, self._goes_on = threading.Event(), threading.Event()
        shop.texts.hook = self._wait
        self._thread = threading.Thread(target=lambda: shop.vectors._make_worker(10, 60.0).work())
        self._thread.start()
        assert self._arrived.wait(20)

    def _wait(self, texts: Sequence[str]) -> None:
        if threading.current_thread() is self._thread:
            self._arrived.set()
            assert self._goes_on.wait(20)

    def finish(self) -> None:
        self._goes_on.set()
        self._thread.join()


def interleave(shop: Shop) -> None:
    """Let a related row's change be noted first and committed after a worker has read over it.

    Its note has the smaller number in the outbox, and is worked off by a later reader.
    """
    with shop.engine.connect() as earlier:
        with earlier.begin():
            earlier.execute(text("UPDATE maker SET name = 'eve' WHERE name = 'ada'"))  # not committed yet
            with shop.engine.begin() as later:
                later.execute(text("UPDATE good SET title = 'renamed' WHERE number = 1"))
            stalled = StalledWorker(shop)
        shop.vectors.sync_once()
    stalled.finish()


def test_an_earlier_uncommitted_change_is_not_lost(filled: Shop) -> None:
    if filled.engine.dialect.name == "sqlite":
        pytest.skip("it has one writer at a time")
    interleave(filled)
    filled.check()
    assert filled.expected()['["a", 1]'].startswith("renamed\n\neve")


def test_with_the_numbers_of_the_outbox_it_would_be(filled: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    if filled.engine.dialect.name == "sqlite":
        pytest.skip("it has one writer at a time")
    claimed = threading.local()
    claim = Outbox.claim

    def remember(self: Outbox, *args: Any, **options: Any) -> Any:
        found = claim(self, *args, **options)
        claimed.last = max((each.id for each in found), default=0)
        return found

    monkeypatch.setattr(Outbox, "claim", remember)
    # Above the clock, from which the fences of what is stored come.
    monkeypatch.setattr(Outbox, "draw_fence", lambda self, engine: (1 << 52) + claimed.last)
    interleave(filled)
    [stale] = [record for record in filled.database.open("goods").scan() if (record.text or "").startswith("renamed")]
    assert "ada" in (stale.text or "")


def test_verify_finds_missing_triggers_of_related_tables(filled: Shop) -> None:
    with filled.engine.begin() as connection:
        for model in ("Maker", "Note"):
            table = filled.models[model].__table__
            for name in list_triggers(connection, table):
                on = "" if filled.engine.dialect.name == "sqlite" else f" ON {table.name}"
                connection.execute(text(f'DROP TRIGGER "{name}"{on}'))
        connection.execute(text("UPDATE maker SET name = 'unseen' WHERE name = 'ada'"))
    [check] = filled.vectors.verify(fix=True)
    assert (len(check.missing_triggers), check.differences) == (6, 2)
    filled.check()
    assert filled.vectors.verify()[0].ok


def test_migrations_know_these_triggers(shop: Shop) -> None:
    with shop.engine.connect() as connection:
        stored = {each.id: each for each in read_captures(connection)}
    assert stored == {each.id: each for each in shop.vectors.captures}
    assert len(stored) == 5  # goods, makers, notes, tags and the links of these
    assert all(parse_description(each.describe()) == each for each in stored.values())


@pytest.mark.parametrize(
    "depends_on, problem",
    [
        (("makerr.name",), "no relationship 'makerr'.*maker"),
        (("maker.nam",), "maker.nam is no column"),
        (("maker",), "a relationship and a column"),
        ("maker.name", "a relationship and a column"),
    ],
)
def test_what_leads_nowhere_is_refused(depends_on: Any, problem: str) -> None:
    class Base(DeclarativeBase):
        pass

    class Maker(Base):
        __tablename__ = "maker"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    def declare() -> None:
        class Good(Base):
            __tablename__ = "good"
            id: Mapped[int] = mapped_column(primary_key=True)
            title: Mapped[str]
            maker_id: Mapped[int] = mapped_column(ForeignKey("maker.id"))
            maker: Mapped[Maker] = relationship()
            search = searchable("title", into="store:goods", depends_on=depends_on)

        VectorORM(Base, embedder=FunctionEmbedder(Texts().embed, dim=DIM, name="words"), stores={"goods": "memory:"})

    with pytest.raises(InvalidArgument, match=problem):
        declare()


def test_two_relationships_to_one_table(engine: Engine) -> None:
    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        title: Mapped[str]

    class Book(Base):
        __tablename__ = "book"
        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
        editor_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
        author: Mapped[Person] = relationship(foreign_keys=[author_id])
        editor: Mapped[Person] = relationship(foreign_keys=[editor_id])
        writer: Mapped[Person] = relationship(foreign_keys=[author_id], viewonly=True)
        search = searchable(
            "names", into="store:books", index=Flat(), depends_on=("author.name", "editor.name", "writer.title")
        )

    names = [
        select(Person.name + " " + Person.title).where(Person.id == own).scalar_subquery()
        for own in (Book.author_id, Book.editor_id)
    ]
    Book.names = column_property(names[0] + " " + names[1])
    embedder = FunctionEmbedder(Texts().embed, dim=DIM, name="words")
    with (
        vecstore.connect("memory:") as database,
        VectorORM(Base, embedder=embedder, stores={"books": database}) as vectors,
    ):
        Base.metadata.create_all(engine)
        with vectors.install(sessionmaker(engine)).begin() as session:
            session.add_all(Person(id=number, name=f"n{number}", title="dr") for number in (1, 2))
            session.flush()
            session.add(Book(id=1, author_id=1, editor_id=2))
        assert vectors.sync_once() == 1, vectors.status()
        for change in ("name = 'ada' WHERE id = 1", "name = 'bob' WHERE id = 2", "title = 'prof' WHERE id = 1"):
            with engine.begin() as connection:
                connection.execute(text(f"UPDATE person SET {change}"))  # noqa: S608 - ours
            assert vectors.sync_once() > 0, change
        assert [record.text for record in database.open("books").scan()] == ["ada prof bob dr"]
        with engine.connect() as connection:
            stored = read_captures(connection)
    assert sorted(each.id for each in stored) == sorted(each.id for each in vectors.captures)
    assert len({each.id for each in stored}) == 3
