"""An application with models of its own, on an empty database."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, ForeignKey, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

import vecstore
from vecstore import Database, Flat, VectorStore
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorORM, searchable

DIM = 64


def embed_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return for each text a vector of its own, nearer to texts that have the same words."""
    rows = np.full((len(texts), DIM), 0.01, np.float32)
    for row, each in zip(rows, texts, strict=True):
        for word in each.lower().split():
            row[hashlib.sha256(word.encode()).digest()[1] % DIM] += 1
    return rows


@dataclass
class Texts:
    """What was embedded, and a hook that may wait or raise."""

    seen: list[str] = field(default_factory=list)
    hook: Callable[[Sequence[str]], None] | None = None

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        if self.hook is not None:
            self.hook(texts)
        self.seen += texts
        return embed_words(texts)


@dataclass
class Application:
    """Models, their database and their stores.

    ``Author`` has articles, which the database deletes with it. ``Page`` has a key of two columns, ``Tag`` a text as
    its key, ``Item`` a UUID.
    """

    engine: Engine
    vectors: VectorORM
    sessions: sessionmaker[Session]
    models: Mapping[str, Any]
    texts: Texts
    database: Database

    def __getattr__(self, name: str) -> Any:
        return self.models[name]

    def store(self, name: str = "articles") -> VectorStore:
        return self.database.open(name)

    def stored(self, name: str = "articles") -> dict[str, tuple[str | None, dict[str, Any]]]:
        """Return the records of a store; sync first."""
        return {record.id: (record.text, dict(record.metadata)) for record in self.store(name).scan()}

    def expected(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return the records that the articles' table should have, read without the models."""
        with self.engine.connect() as connection:
            rows = connection.execute(text("SELECT id, title, body, lang, year FROM article")).all()
        return {
            str(row.id): (
                "\n\n".join(part for part in (row.title, row.body) if part and part.strip()),
                {"lang": row.lang, **({} if row.year is None else {"year": row.year})},
            )
            for row in rows
            if any(part and part.strip() for part in (row.title, row.body))
        }

    def noted(self) -> list[tuple[str, str]]:
        """Return the targets and keys in the outbox."""
        with self.engine.connect() as connection:
            rows = connection.execute(text("SELECT target, key FROM vecstore_outbox ORDER BY id")).all()
        return [(target, key) for target, key in rows]

    def check(self) -> None:
        """Work off the outbox, and compare the store of articles with the table."""
        self.vectors.sync_once()
        assert self.noted() == []
        assert self.stored() == self.expected()

    def add(self, count: int, **values: Any) -> None:
        with self.sessions.begin() as session:
            session.add_all(
                self.Article(**{"title": f"title {n}", "body": f"body {n}", "lang": "en"} | values)
                for n in range(count)
            )

    def titles(self, *args: Any, **options: Any) -> list[str]:
        """Search for articles, and return their titles."""
        with self.sessions() as session:
            found = self.vectors.search(session, self.Article.search, *args, **options)
            return [article.title for article, _ in found]


def make_models() -> tuple[type[DeclarativeBase], dict[str, Any]]:
    class Base(DeclarativeBase):
        pass

    class Author(Base):
        __tablename__ = "author"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Article(Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        body: Mapped[str | None]
        lang: Mapped[str] = mapped_column(default="en")
        year: Mapped[int | None]
        views: Mapped[int] = mapped_column(default=0, server_default="0")
        author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id", ondelete="CASCADE"))
        author: Mapped[Author | None] = relationship()
        search = searchable("title", "body", fields=("lang", "year"), into="store:articles", index=Flat())

    class Page(Base):
        __tablename__ = "page"
        book: Mapped[str] = mapped_column(primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True)
        content: Mapped[str] = mapped_column("the content")
        search = searchable("content", into="store:pages", index=Flat())

    class Tag(Base):
        __tablename__ = "Tag; drop"
        name: Mapped[str] = mapped_column(primary_key=True)
        about: Mapped[str]
        search = searchable("about", into="store:tags", index=Flat())

    class Item(Base):
        __tablename__ = "item"
        id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
        about: Mapped[str]
        search = searchable("about", into="store:items", index=Flat())

    return Base, {each.__name__: each for each in (Author, Article, Page, Tag, Item)}


STORES = ("articles", "pages", "tags", "items")


@contextmanager
def open_application(engine: Engine, place: Any = None) -> Iterator[Application]:
    base, models = make_models()
    texts = Texts()
    database = vecstore.connect("memory:") if place is None else place
    embedder = FunctionEmbedder(texts.embed, dim=DIM, name="words")
    with VectorORM(base, embedder=embedder, stores=dict.fromkeys(STORES, database)) as vectors:
        base.metadata.create_all(engine)
        sessions = vectors.install(sessionmaker(engine))
        yield Application(engine, vectors, sessions, {**models, "Base": base}, texts, database)
    if place is None:
        database.close()


def make_engine(url: str, schema: str | None = None, **options: Any) -> Engine:
    """Return an engine for a file, whose foreign keys are obeyed, or for a schema of PostgreSQL."""
    if schema is not None:
        return create_engine(url, connect_args={"options": f"-csearch_path={schema},public"}, **options)
    engine = create_engine(url, **options)
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def obey_foreign_keys(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = OFF")  # the data are disposable

    return engine


def load(session: Session, model: Any, key: Any) -> Any:
    found = session.get(model, key)
    assert found is not None
    return found


def list_rows(session: Session, model: Any) -> list[Any]:
    return list(session.scalars(select(model)))
