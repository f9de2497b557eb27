"""A change of the model of a store of chunks, wherever it is: finished, undone, given up, and killed in between."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, delete
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

import vecstore
from tests.orm.application import embed_words
from tests.orm.stores import KINDS, make_url
from tests.orm.test_rebuild import NEW, Model
from tests.redis.conftest import redis_server as redis_server
from vecstore import Flat, InvalidArgument
from vecstore.orm import Chunks, VectorORM, searchable
from vecstore.orm.chunks import CHUNK, ROW
from vecstore.rebuild import copy

pytestmark = pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True
)
CHUNKS = Chunks(40, 0)
BATCH = 5
"""Records that a rebuild copies at once: after two batches some groups are copied, one is half copied, some are not."""


class Library:
    """One process's view of an application with books in chunks, with one embedder or two."""

    def __init__(self, engine: Engine, url: str, *models: Model) -> None:
        class Base(DeclarativeBase):
            pass

        class Book(Base):
            __tablename__ = "book"
            name: Mapped[str] = mapped_column(primary_key=True)
            body: Mapped[str | None]
            search = searchable("body", into="store:books", index=Flat(), chunk=CHUNKS)

        embedders = tuple(each.embedder for each in models)
        self.engine, self.url, self.Book = engine, url, Book
        given: Any = embedders if len(embedders) > 1 else embedders[0]
        self.vectors = VectorORM(Base, embedder=given, stores={"books": url})
        Base.metadata.create_all(engine)
        self.sessions = self.vectors.install(sessionmaker(engine))

    def put(self, **bodies: str | None) -> None:
        with self.sessions.begin() as session:
            for name, body in bodies.items():
                session.merge(self.Book(name=name, body=body))

    def remove(self, name: str) -> None:
        with self.sessions.begin() as session:
            session.execute(delete(self.Book).where(self.Book.name == name))

    def find(self, query: str, k: int = 1) -> list[str]:
        with self.sessions() as session:
            return [book.name for book, _ in self.vectors.search(session, self.Book.search, query, k)]

    def check(self, model: Model) -> None:
        """Work off the outbox: the store has the chunks of all rows, and their vectors are those of a model."""
        self.vectors.sync_once()
        with self.sessions() as session:
            expected = {
                (book.name, number): chunk.text
                for book in session.query(self.Book)
                for number, chunk in enumerate(CHUNKS.split(book.body or ""))
            }
        with vecstore.connect(self.url) as database:
            records = list(database.open("books").scan())
        found = {(each.metadata[ROW], each.metadata[CHUNK]["number"]): each for each in records}
        assert len(found) == len(records)
        assert {key: each.text for key, each in found.items()} == expected
        for each in records:
            made = model.sign * embed_words([each.text or ""]).reshape(1, -1, model.dim).sum(axis=1)[0]
            assert np.asarray(each.vector).tolist() == made.tolist()
        assert self.vectors.verify()[0].ok


def make_body(word: str, count: int = 4) -> str:
    return "\n\n".join(f"The {word} in part {number} of it." for number in range(count))


def change_books(library: Library) -> None:
    """Let one book get longer, one shorter, one another text, one none, one go, and one come."""
    library.put(longer=make_body("cat", 7), shorter=make_body("dog", 1), other=make_body("owl"), empty=None)
    library.put(fresh=make_body("bee", 3))
    library.remove("gone")


def count_embedded(model: Model) -> int:
    """Return how many chunks a model has embedded."""
    return sum(" in part " in each for each in model.seen)


@pytest.fixture
def old() -> Model:
    return Model("old")


@pytest.fixture(params=["file", *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS[1:])])
def url(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> str:
    return make_url(request.param, request, tmp_path, namespace)


@pytest.fixture
def open_library(engine: Engine, url: str, old: Model) -> Iterator[Callable[..., Library]]:
    opened: list[Library] = []

    def open_one(*models: Model) -> Library:
        opened.append(Library(engine, url, *models))
        return opened[-1]

    first = open_one(old)
    words = {"longer": "cat", "shorter": "dog", "other": "ox", "empty": "ant", "gone": "elk", "same": "hen"}
    first.put(**{name: make_body(word) for name, word in words.items()})
    first.check(old)
    yield open_one
    for each in opened:
        each.vectors.close()


@pytest.mark.parametrize("dim", [NEW, pytest.param(64, marks=pytest.mark.long)])
def test_all_of_it(open_library: Callable[..., Library], old: Model, dim: int) -> None:
    new = Model("new", dim)
    both = open_library(old, new)
    assert both.vectors.rebuild(both.Book.search).changed
    both.check(new)
    assert both.find("the hen in part") == ["same"]
    assert sorted(both.find("part", k=9)) == ["empty", "gone", "longer", "other", "same", "shorter"]
    change_books(both)
    both.check(new)
    both.vectors.rollback(both.Book.search)
    both.check(old)
    change_books(both)  # nothing of it is new
    both.put(shorter=make_body("dog", 2))
    both.check(old)
    assert both.vectors.rebuild(both.Book.search).changed
    both.check(new)
    assert both.vectors.drop_previous(both.Book.search)
    later = open_library(new)
    later.put(fresh=make_body("bee", 5))
    later.check(new)


def test_rows_change_while_their_chunks_are_embedded(
    open_library: Callable[..., Library], old: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "BATCH", BATCH)
    both, other = open_library(old, new := Model("new", NEW)), open_library(old)
    before: list[int] = []

    def change() -> None:
        if not before and count_embedded(new) >= 2 * BATCH:
            before.append(count_embedded(new))
            change_books(other)
            other.vectors.sync_once()

    new.hook = change
    assert both.vectors.rebuild(both.Book.search).changed
    assert before == [2 * BATCH]
    both.check(new)
    both.vectors.rollback(both.Book.search)
    both.check(old)


KILLED = """
import sys
from sqlalchemy import create_engine
from tests.orm.application import make_engine
from tests.orm.test_rebuild import NEW, Model
from tests.orm.test_rebuild_chunks import BATCH, Library, count_embedded
from vecstore.rebuild import copy

copy.BATCH = BATCH
old, new = Model("old"), Model("new", NEW)
app = Library(make_engine(sys.argv[1], sys.argv[2] or None), sys.argv[3], old, new)

def wait():
    if count_embedded(new) >= 2 * BATCH:
        print("embedding", flush=True)
        sys.stdin.read()

new.hook = wait
app.vectors.rebuild(app.Book.search)
"""


@pytest.mark.parametrize("after", [pytest.param("again", marks=pytest.mark.long), "given up"])
def test_it_is_killed(
    open_library: Callable[..., Library], old: Model, after: str, request: pytest.FixtureRequest
) -> None:
    both = open_library(old, new := Model("new", NEW))
    is_postgresql = both.engine.dialect.name == "postgresql"
    schema = request.getfixturevalue("namespace") if is_postgresql else ""
    place = both.engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, place, schema, both.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "embedding\n"
        process.send_signal(signal.SIGKILL)
    assert both.find("the hen in part") == ["same"]
    change_books(both)
    both.check(old)
    if after == "given up":
        both.vectors.rollback(both.Book.search)
        both.check(old)
        with pytest.raises(InvalidArgument, match="no previous generation"):
            both.vectors.rollback(both.Book.search)
    assert both.vectors.rebuild(both.Book.search).changed
    both.check(new)
    assert both.find("the hen in part") == ["same"]
