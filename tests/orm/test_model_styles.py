"""Models in the styles of SQLAlchemy's dataclasses and of SQLModel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, registry, sessionmaker
from sqlmodel import Field, SQLModel
from sqlmodel import Session as SQLModelSession

import vecstore
from vecstore import Flat
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import Chunks, VectorColumn, VectorORM, searchable

from .application import DIM, Texts


def make_dataclasses() -> tuple[Any, Any, Any]:
    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "note"
        body: Mapped[str]
        lang: Mapped[str] = mapped_column(default="en")
        id: Mapped[int] = mapped_column(primary_key=True, init=False)
        search = searchable("body", fields=("lang",), into="store:notes", index=Flat(), chunk=Chunks(60, 0))

    class Page(Base):
        __tablename__ = "page"
        body: Mapped[str]
        id: Mapped[int] = mapped_column(primary_key=True, init=False)
        embedding: Mapped[np.ndarray | None] = VectorColumn()
        search = searchable("body", into="embedding")

    return Base, Note, Page


def make_sqlmodels() -> tuple[Any, Any, Any]:
    class Base(SQLModel, registry=registry()):
        pass

    class Note(Base, table=True):
        __tablename__ = "note"
        id: int | None = Field(default=None, primary_key=True)
        body: str
        lang: str = "en"
        search: ClassVar[Any] = searchable(
            "body", fields=("lang",), into="store:notes", index=Flat(), chunk=Chunks(60, 0)
        )

    class Page(Base, table=True):
        __tablename__ = "page"
        id: int | None = Field(default=None, primary_key=True)
        body: str
        embedding: Any = Field(default=None, sa_column=VectorColumn().column)
        search: ClassVar[Any] = searchable("body", into="embedding")

    return Base, Note, Page


@pytest.mark.parametrize("make", [make_dataclasses, make_sqlmodels])
def test_models_of_this_style(engine: Engine, make: Callable[[], tuple[Any, Any, Any]]) -> None:
    base, note, page = make()
    with vecstore.connect("memory:") as database:
        embedder = FunctionEmbedder(Texts().embed, dim=DIM, name="words")
        with VectorORM(base, embedder=embedder, stores={"notes": database}) as vectors:
            base.metadata.create_all(engine)
            kind = SQLModelSession if issubclass(base, SQLModel) else None
            sessions = vectors.install(sessionmaker(engine, class_=kind) if kind else sessionmaker(engine))
            with sessions.begin() as session:
                session.add_all([note(body="red apple"), note(body="green pear", lang="de"), page(body="blue plum")])
                session.add(page(body="grey stone"))
            assert vectors.sync_once() == 4
            with sessions() as session:
                [(found, hit)] = vectors.search(session, note.search, "a green pear", where=note.lang == "de")
                assert (found.body, hit.text, type(found)) == ("green pear", "green pear", note)
                [(found, _), *_] = vectors.search(session, page.search, "a blue plum", k=1)
                assert found.body == "blue plum"
                nearest = page.embedding.cosine_distance(found.embedding)
                assert session.scalars(select(page.body).order_by(nearest)).all() == ["blue plum", "grey stone"]
                found.body = "grey sky"
                session.commit()
            vectors.sync_once()
            assert all(check.ok for check in vectors.verify())
