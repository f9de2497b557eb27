"""Names of tables that are long, of letters with many bytes, or odd: triggers, second columns and indexes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from vecstore import HNSW, Unsupported
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorColumn, VectorORM, searchable
from vecstore.orm.captures import Capture
from vecstore.orm.row_generations import name_standby
from vecstore.orm.trigger_statements import make_triggers
from vecstore.orm.vector_indexes import name_index

from .application import DIM, embed_words

CHINESE, LONG = "表" * 20, "x" * 52


@pytest.mark.parametrize("table", [CHINESE, LONG])
def test_a_table_with_a_long_name(engine: Engine, table: str) -> None:
    class Base(DeclarativeBase):
        pass

    class Article(Base):
        __tablename__ = table
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        embedding: Mapped[np.ndarray | None] = VectorColumn(index=HNSW())
        search = searchable("title", into="embedding")

    embedders: Any = tuple(FunctionEmbedder(embed_words, dim=DIM, name=name) for name in ("old", "new"))
    with VectorORM(Base, embedder=embedders) as vectors:
        for _ in range(2):
            Base.metadata.create_all(engine)
        sessions = vectors.install(sessionmaker(engine))
        with sessions.begin() as session:
            session.add(Article(title="green tea"))
        assert vectors.sync_once() == 1
        assert vectors.verify()[0].ok
        assert vectors.rebuild(Article.search).changed
        assert vectors.drop_previous(Article.search)
        with sessions() as session:
            assert len(vectors.search(session, Article.search, "tea")) == 1


def test_names_are_short_enough_and_tell_columns_apart() -> None:
    names = [
        *(name_index(table, column) for table in (CHINESE, LONG) for column in ("embedding", "embedding_next")),
        *(name_standby(column) for column in ("表" * 21, "表" * 20 + "列", "y" * 63)),
    ]
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) <= 63 for name in names)
    assert name_index("article", "embedding") == "ix_article_embedding_hnsw"
    assert name_standby("embedding") == "embedding_next"


@pytest.mark.parametrize("place", ["table", "column"])
def test_a_percent_sign_is_refused_where_the_driver_takes_it_for_a_parameter(place: str) -> None:
    watched = {"a%b" if place == "column" else "title": "text"}
    capture = Capture("a.search", "a%b" if place == "table" else "a", {"id": "number"}, watched)
    for module in (postgresql, mysql):
        dialect: Any = module.dialect
        with pytest.raises(Unsupported, match="a%b"):
            make_triggers(dialect(), capture)
    assert make_triggers(sqlite.dialect(), capture).names
