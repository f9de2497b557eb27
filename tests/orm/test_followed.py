"""Models whose store is on PostgreSQL, with a Milvus server beside it that finds the neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import create_engine, delete, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

import vecstore
from tests.postgres.stores import add_parameters, prepare_namespace
from vecstore import Flat, MilvusIndex, Schema, Unsupported, UpkeepWarning, fields
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorORM, searchable

DIM = 8
NOBODY = "milvus://127.0.0.1:9"
ROWS = 60


def embed(titles: Sequence[str]) -> NDArray[np.float32]:
    """Return vectors on a line: the distance of two is the difference of the numbers that titles are."""
    rows = np.zeros((len(titles), DIM), np.float32)
    rows[:, 0] = [float(title) if title.isdecimal() else -1.0 for title in titles]
    return rows


EMBEDDER = FunctionEmbedder(embed, dim=DIM, name="numbers")


class Application:
    """Notes in a file of SQLite, and a store of them at a URL."""

    def __init__(self, engine: Any, url: str, index: Any) -> None:
        class Base(DeclarativeBase):
            pass

        class Note(Base):
            __tablename__ = "note"
            id: Mapped[int] = mapped_column(primary_key=True)
            title: Mapped[str]
            owner: Mapped[str]
            search = searchable("title", fields=("owner",), into="store:notes", metric="l2", index=index)

        self.note: Any = Note
        self.vectors = VectorORM(Base, embedder=EMBEDDER, stores={"notes": url})
        Base.metadata.create_all(engine)
        self.sessions = self.vectors.install(sessionmaker(engine))

    def add(self, *numbers: int) -> None:
        with self.sessions.begin() as session:
            session.add_all(self.note(id=n, title=str(n), owner=f"o{n % 2}") for n in numbers)

    def find(self, title: str, **options: Any) -> list[str]:
        with self.sessions() as session:
            found = self.vectors.search(session, self.note.search, title, k=1, **options)
            return [note.title for note, _ in found]


@contextmanager
def run(sqlite_url: str, url: str, index: Any) -> Iterator[Application]:
    engine = create_engine(sqlite_url)
    app = Application(engine, url, index)
    try:
        yield app
    finally:
        app.vectors.close()
        engine.dispose()


@pytest.fixture
def there(postgres_url: str, namespace: str) -> str:
    """The namespace of the store."""
    prepare_namespace(postgres_url, namespace)
    return namespace


def test_a_store_that_milvus_follows_is_that_of_a_model(
    sqlite_url: str, postgres_url: str, there: str, milvus_url: str
) -> None:
    url = add_parameters(postgres_url, there, vectors=milvus_url)
    with run(sqlite_url, url, MilvusIndex("FLAT")) as app, vecstore.connect(url) as database:
        app.add(*range(1, ROWS + 1))
        assert app.vectors.sync_once() == ROWS  # the last write lets Milvus follow
        store = database.open("notes")
        assert store.schema.index == MilvusIndex("FLAT")
        assert (store.index_status().state, store.index_status().reason) == ("ready", None)
        assert not store.search(embed(["7"])[0], k=1).exact
        assert app.find("7") == ["7"]
        assert app.find("7", where=app.note.owner == "o0") != ["7"]
        with app.sessions.begin() as session:
            session.execute(update(app.note).where(app.note.id == 7).values(title="500"))
            session.execute(delete(app.note).where(app.note.id == 8))
        app.vectors.sync_once()
        assert app.find("500") == ["500"]
        assert app.find("8") != ["8"]
        database.drop("notes")


def test_rows_are_written_and_found_where_milvus_does_not_answer(
    sqlite_url: str, postgres_url: str, there: str
) -> None:
    with run(sqlite_url, add_parameters(postgres_url, there, vectors=NOBODY), MilvusIndex("FLAT")) as app:
        app.add(*range(1, ROWS + 1))
        with pytest.warns(UpkeepWarning, match="Milvus"):
            assert app.vectors.sync_once() == ROWS
        assert app.find("7") == ["7"]


@pytest.mark.parametrize("kind", ["file", "postgresql"])
def test_a_place_without_milvus_says_where_the_index_is(
    sqlite_url: str, postgres_url: str, there: str, tmp_path: Any, kind: str
) -> None:
    url = f"file:{tmp_path / 'kb'}" if kind == "file" else add_parameters(postgres_url, there)
    with run(sqlite_url, url, MilvusIndex("IVF_FLAT", nlist=4)) as app:
        app.add(1)
        with pytest.raises(Unsupported, match=r"IVF_FLAT of Milvus.*vectors=milvus://"):
            app.find("1")
        with vecstore.connect(url) as database:
            database.create("notes", Schema(dim=DIM, metric="l2", index=Flat(), fields={"owner": fields.Keyword()}))
        assert app.vectors.sync_once() == 1  # a store that exists keeps its index
