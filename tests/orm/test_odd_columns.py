"""Columns that change by themselves, that hold what cannot be read, or that an update sets."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Column, Computed, Engine, Integer, Text, select, text, update
from sqlalchemy import Enum as EnumColumn
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from tests.orm.application import DIM, embed_words
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorColumn, VectorORM, searchable
from vecstore.orm.keys import RowKeys


class Rank(enum.Enum):
    low = "low"
    high = "high"


class People:
    """People whose full names the database makes."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        class Base(DeclarativeBase):
            pass

        class Person(Base):
            __tablename__ = "person"
            id: Mapped[int] = mapped_column(primary_key=True)
            first: Mapped[str]
            last: Mapped[str]
            full: Mapped[str] = mapped_column(Text, Computed("first || ' ' || last", persisted=True))
            rank: Mapped[Rank] = mapped_column(EnumColumn(Rank, native_enum=False, length=20), default=Rank.low)
            touched: Mapped[str] = mapped_column(default="never", onupdate="by an update")
            embedding: Mapped[np.ndarray | None] = VectorColumn(metric="cosine")
            search = searchable("full", into="embedding")
            ranked = searchable("full", fields=("rank",), into="store:people")

        self.engine, self.Person = engine, Person
        model = FunctionEmbedder(embed_words, dim=DIM, name="words")
        self.vectors = VectorORM(Base, embedder=model, stores={"people": f"file:{directory / 'kb'}"})
        Base.metadata.create_all(engine)
        self.sessions = self.vectors.install(sessionmaker(engine))
        with self.sessions.begin() as session:
            session.add_all(Person(id=number, first="red", last=name) for number, name in enumerate(("apple", "pear")))
        self.vectors.sync_once()

    def execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def read_vector(self, key: int) -> list[float] | None:
        with self.sessions() as session:
            found = session.scalars(select(self.Person.embedding).where(self.Person.id == key)).one()
            return None if found is None else found.tolist()


@pytest.fixture
def people(engine: Engine, tmp_path: Path) -> Iterator[People]:
    people = People(engine, tmp_path)
    yield people
    people.vectors.close()


def test_a_generated_column_is_followed(people: People) -> None:
    people.execute("UPDATE person SET last = 'green' WHERE id = 1")
    people.vectors.sync_once()
    assert people.read_vector(1) == embed_words(["red green"])[0].tolist()


def test_a_worker_sets_nothing_that_an_update_of_the_application_sets(people: People) -> None:
    with people.sessions() as session:
        assert set(session.scalars(select(people.Person.touched))) == {"never"}
    with people.sessions.begin() as session:
        session.execute(update(people.Person).values(last="green"))
    people.vectors.sync_once()
    with people.sessions() as session:
        assert set(session.scalars(select(people.Person.touched))) == {"by an update"}


def test_a_row_that_cannot_be_read_does_not_block_the_rest(people: People) -> None:
    people.execute("UPDATE person SET rank = 'zzz', first = 'green' WHERE id = 0")
    people.execute("UPDATE person SET first = 'green' WHERE id = 1")
    people.vectors.sync_once()
    with people.sessions() as session:
        [(found, _)] = people.vectors.search(
            session, people.Person.ranked, "green pear", k=1, where=people.Person.id == 1
        )
        assert found.full == "green pear"
    backlog = people.vectors.status()["Person.ranked"]
    assert backlog.pending + backlog.dead == 1
    assert "LookupError" in str(backlog.reason)


def test_a_vector_that_a_row_should_not_have_is_found(people: People) -> None:
    people.execute("UPDATE person SET first = ' ', last = ' ' WHERE id = 1")
    people.execute("DELETE FROM vecstore_outbox")
    check = next(each for each in people.vectors.verify(fix=True) if each.label == "Person.search")
    assert (check.differences, check.examples) == (1, ("1",))
    people.vectors.sync_once()
    assert people.read_vector(1) is None
    assert all(each.ok for each in people.vectors.verify())


@pytest.mark.parametrize("key", ["[null]", "[1,2]", "[[1]]", "[1.5]", "{}", "1", "[true]"])
def test_a_key_of_another_shape_is_none(key: str) -> None:
    keys = RowKeys([Column("id", Integer, primary_key=True)], "Person")
    with pytest.raises(ValueError, match="the key has"):
        keys.parse(key)
