"""Vectors in the rows themselves."""

# Longer than 300 lines because everything about vectors in rows is tested here.

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_mock_engine, select, text, update
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

import vecstore
from tests.orm.application import DIM, Texts, embed_words
from vecstore import HNSW, DimensionMismatch, Flat, InvalidArgument, InvalidQuery, Unsupported
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorColumn, VectorORM, searchable


class Rows:
    """An application whose articles have their vectors in the row."""

    def __init__(self, engine: Engine, *, metric: str = "cosine", index: Any = None, dim: int = DIM) -> None:
        class Base(DeclarativeBase):
            pass

        class Article(Base):
            __tablename__ = "article"
            id: Mapped[int] = mapped_column(primary_key=True)
            title: Mapped[str | None]
            lang: Mapped[str] = mapped_column(default="en")
            embedding: Mapped[np.ndarray | None] = VectorColumn(metric=metric, index=index)
            search = searchable("title", into="embedding")

        self.texts = Texts()
        self.engine, self.Base, self.Article = engine, Base, Article
        embed = (
            (lambda texts: np.pad(self.texts.embed(texts), ((0, 0), (0, dim - DIM)))) if dim > DIM else self.texts.embed
        )
        self.vectors = VectorORM(Base, embedder=FunctionEmbedder(embed, dim=dim, name="words"))
        Base.metadata.create_all(engine)
        self.sessions = self.vectors.install(sessionmaker(engine))

    def add(self, *titles: str | None, **values: Any) -> None:
        with self.sessions.begin() as session:
            session.add_all(self.Article(title=title, **values) for title in titles)

    def read(self) -> dict[str | None, np.ndarray | None]:
        with self.sessions() as session:
            rows = session.execute(select(self.Article.title, self.Article.embedding)).all()
            return {title: vector for title, vector in rows}  # noqa: C416 - a row is no pair to mypy

    def check(self) -> None:
        """Work off the outbox: each row has the vector of its text."""
        self.vectors.sync_once()
        for title, vector in self.read().items():
            if title is None or not title.strip():
                assert vector is None
            else:
                assert vector is not None
                assert vector[:DIM].tolist() == embed_words([title])[0].tolist()
        with self.engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM vecstore_outbox")).scalar_one() == 0

    def titles(self, *arguments: Any, **options: Any) -> list[str | None]:
        with self.sessions() as session:
            return [row.title for row, _ in self.vectors.search(session, self.Article.search, *arguments, **options)]


@pytest.fixture
def rows(engine: Engine) -> Iterator[Rows]:
    rows = Rows(engine)
    yield rows
    rows.vectors.close()


def test_rows_get_their_vectors(rows: Rows) -> None:
    rows.add("red apple", "green pear", None, " ")
    rows.check()
    assert rows.titles("apple", 1) == ["red apple"]
    assert rows.titles(embed_words(["pear"])[0], 5) == ["green pear", "red apple"]
    with rows.sessions() as session:
        [(_, hit)] = rows.vectors.search(session, rows.Article.search, "red apple", 1)
        assert hit.score == pytest.approx(1, abs=1e-6)
        assert hit.distance == pytest.approx(0, abs=1e-6)


def test_changed_texts_and_texts_that_go(rows: Rows) -> None:
    rows.add("one", "two")
    rows.check()
    with rows.sessions.begin() as session:
        session.execute(update(rows.Article).where(rows.Article.id == 1).values(title="three"))
        session.execute(update(rows.Article).where(rows.Article.id == 2).values(title=None))
    rows.check()
    with rows.sessions.begin() as session:
        session.execute(text("DELETE FROM article"))
    rows.check()
    with rows.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM vecstore_digest")).scalar_one() == 0


def test_our_own_update_is_not_noted(rows: Rows) -> None:
    rows.add("one", "two")
    assert rows.vectors.sync_once() == 2
    assert rows.vectors.sync_once() == 0


def test_a_text_that_did_not_change_is_not_embedded_again(rows: Rows) -> None:
    rows.add("one")
    rows.check()
    rows.vectors.backfill()
    rows.check()
    assert rows.texts.seen == ["one"]
    with rows.sessions.begin() as session:
        session.execute(update(rows.Article).values(embedding=None))
    rows.vectors.backfill()
    rows.check()
    assert rows.texts.seen == ["one", "one"]


def test_a_row_that_changes_while_it_is_embedded(rows: Rows) -> None:
    def change(texts: Sequence[str]) -> None:
        rows.texts.hook = None
        with rows.sessions.begin() as session:
            session.execute(update(rows.Article).values(title="new"))

    rows.add("old")
    rows.texts.hook = change
    rows.vectors._make_worker(10, 60.0).work()
    assert rows.read() == {"new": None}
    rows.check()


def test_a_row_that_a_transaction_holds_is_left_for_later(rows: Rows) -> None:
    if rows.engine.dialect.name == "sqlite":
        pytest.skip("there a transaction holds all rows")
    rows.add("one", "two")
    with rows.sessions() as session:
        session.execute(update(rows.Article).where(rows.Article.id == 1).values(lang="de"))
        rows.vectors._make_worker(10, 60.0).work()
        assert rows.titles("two") == ["two"]
        session.rollback()
    with rows.engine.begin() as connection:
        connection.execute(text("UPDATE vecstore_outbox SET ready = 0"))
    rows.check()


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
def test_distances_in_any_statement(engine: Engine, metric: str) -> None:
    rows = Rows(engine, metric=metric)
    rows.add("red apple", "green pear", "red pear")
    rows.add("german pear", lang="de")
    rows.check()
    query = embed_words(["red"])[0]
    article = rows.Article
    method = getattr(article.embedding, f"{metric}_distance")
    with rows.sessions() as session:
        wanted = select(article.title, method(query).label("far")).where(article.lang == "en").order_by(method(query))
        found = session.execute(wanted.limit(2)).all()
        distances = session.execute(select(article.title, method(article.embedding))).all()
    vectors = {title: embed_words([title])[0].astype(np.float64) for title in ("red apple", "green pear", "red pear")}
    wide = query.astype(np.float64)
    formulas: dict[str, Callable[[Any], float]] = {
        "cosine": lambda v: 1 - v @ wide / np.linalg.norm(v) / np.linalg.norm(wide),
        "l2": lambda v: float(np.linalg.norm(v - wide)),
        "ip": lambda v: -(v @ wide),
    }
    nearest = sorted((formulas[metric](vector), title) for title, vector in vectors.items())[:2]
    assert sorted(found[0]._mapping["far"] - nearest[0][0] for _ in (0,)) == pytest.approx([0], abs=1e-5)
    assert {title for title, _ in found} == {title for _, title in nearest}
    assert len(distances) == 4
    with rows.sessions() as session:
        hits = rows.vectors.search(session, article.search, query, 2, where=article.lang == "en")
        assert [hit.distance for _, hit in hits] == pytest.approx([far for far, _ in nearest], abs=1e-5)
        floor = hits[0][1].score - 1e-4
        assert len(rows.vectors.search(session, article.search, query, 4, min_score=floor)) >= 1
    rows.vectors.close()


def test_an_index_and_hidden_rows(engine: Engine) -> None:
    rows = Rows(engine, index=HNSW(m=8, ef_construction=32))
    rows.add(*(f"apple {n}" for n in range(300)))
    rows.add(*(f"pear {n}" for n in range(20)), lang="de")
    rows.check()
    german = rows.Article.lang == "de"
    assert len(rows.titles("apple", 20, where=german)) == 20
    assert len(rows.titles("apple", 400)) == 320
    assert len(rows.titles("apple", 20, where=german, exact=True)) == 20
    if engine.dialect.name == "postgresql":
        with rows.sessions() as session:
            rows.vectors.search(session, rows.Article.search, "apple", 20, where=german)
            assert session.scalar(text("SHOW enable_indexscan")) == "on"
            [(made,)] = session.execute(text("SELECT indexdef FROM pg_indexes WHERE indexname LIKE '%hnsw'")).all()
            assert "hnsw (embedding vector_cosine_ops) WITH (m='8', ef_construction='32')" in made
    rows.vectors.close()


def test_an_index_of_many_dimensions(engine: Engine) -> None:
    rows = Rows(engine, index=HNSW(), dim=2_001)
    rows.add("red apple", "green pear")
    rows.check()
    assert rows.titles("apple", 1) == ["red apple"]
    if engine.dialect.name == "postgresql":
        with rows.sessions() as session:
            [(made,)] = session.execute(text("SELECT indexdef FROM pg_indexes WHERE indexname LIKE '%hnsw'")).all()
            assert "halfvec_cosine_ops" in made
            distance = rows.Article.embedding.cosine_distance(np.ones(2_001))
            session.execute(text("SET LOCAL enable_seqscan = off"))
            compiled = select(rows.Article.id).order_by(distance).limit(1)
            plan = session.execute(text("EXPLAIN " + literal(compiled, engine))).scalars().all()
            assert any("hnsw" in line for line in plan)
    rows.vectors.close()


@pytest.mark.parametrize("metric", ["cosine", pytest.param("l2", marks=pytest.mark.long)])
def test_more_dimensions_than_an_index_takes(engine: Engine, metric: str) -> None:
    with pytest.raises(InvalidArgument, match=r"up to 4,000 dimensions.* makes 4,001. Write index=Flat\(\)"):
        Rows(engine, index=HNSW(), dim=4_001)
    rows = Rows(engine, index=Flat(), metric=metric, dim=4_001)
    rows.add("red apple", "green pear", "a pear")
    rows.check()
    assert rows.titles("green", 1) == ["green pear"]
    query = np.pad(embed_words(["green pear"])[0], (0, 4_001 - DIM))
    with rows.sessions() as session:
        distance = getattr(rows.Article.embedding, f"{metric}_distance")(query)
        assert session.scalar(select(rows.Article.title).order_by(distance).limit(1)) == "green pear"
    rows.vectors.close()


def test_the_largest_dimension_of_an_index_in_full_precision(engine: Engine) -> None:
    rows = Rows(engine, index=HNSW(), dim=2_000)
    if engine.dialect.name == "postgresql":
        with rows.sessions() as session:
            [(made,)] = session.execute(text("SELECT indexdef FROM pg_indexes WHERE indexname LIKE '%hnsw'")).all()
            assert "(embedding vector_cosine_ops)" in made
    rows.vectors.close()


def literal(statement: Any, engine: Engine) -> str:
    """Return a statement with its values, for EXPLAIN."""
    compiled = statement.compile(engine)
    values = {
        key: f"'[{','.join(['1'] * len(value))}]'" if isinstance(value, np.ndarray) else value
        for key, value in compiled.params.items()
    }
    return str(compiled) % values


def test_from_a_column_into_a_store_and_back(engine: Engine) -> None:
    """The declaration changes and the rows are noted once; queries stay as they are."""
    with vecstore.connect("memory:") as database:
        words = ["green tea", "a train", "rice"]
        for turn, into in enumerate(("embedding", "store:articles", "embedding")):

            class Base(DeclarativeBase):
                pass

            class Article(Base):
                __tablename__ = "article"
                id: Mapped[int] = mapped_column(primary_key=True)
                title: Mapped[str]
                embedding: Mapped[np.ndarray | None] = VectorColumn(dim=DIM)
                search = searchable("title", into=into, index=Flat())

            stores = {"articles": database} if into.startswith("store:") else {}
            embedder = FunctionEmbedder(embed_words, dim=DIM, name="words")
            with VectorORM(Base, embedder=embedder, stores=stores) as vectors:
                Base.metadata.create_all(engine)
                sessions = vectors.install(sessionmaker(engine))
                vectors.backfill(Article.search)
                with sessions.begin() as session:
                    if turn == 0:
                        session.add_all(Article(title=title) for title in words)
                    else:
                        session.execute(update(Article).where(Article.id == 2).values(title=f"train number {turn}"))
                vectors.sync_once()
                assert vectors.verify()[0].ok
                with sessions() as session:
                    found = [vectors.search(session, Article.search, each, k=1)[0] for each in ("green tea", "train")]
                    assert [row.id for row, _ in found] == [1, 2]
                    assert [hit.id for _, hit in found] == ["1", "2"]


def test_a_fault_of_the_database_burns_no_attempts(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("UPDATE", {}, Exception())

    rows.add("one", "two")
    with monkeypatch.context() as patch:
        patch.setattr("vecstore.orm.sinks.ColumnSink._update", fail)
        rows.vectors.sync_once()
    with rows.engine.begin() as connection:
        found = connection.execute(text("SELECT attempts, reason FROM vecstore_outbox")).all()
        connection.execute(text("UPDATE vecstore_outbox SET ready = 0"))
    assert [tuple(row) for row in found] == [(0, "OperationalError")] * 2
    rows.check()


def test_verify(rows: Rows) -> None:
    rows.add("one", "two", "three")
    rows.check()
    assert rows.vectors.verify()[0].ok
    with rows.engine.begin() as connection:
        connection.execute(text("UPDATE article SET title = 'changed' WHERE id = 1"))
        connection.execute(text("UPDATE article SET embedding = NULL WHERE id = 2"))
        connection.execute(text("DELETE FROM vecstore_outbox"))
    [check] = rows.vectors.verify(fix=True)
    assert sorted(check.examples) == ["1", "2"]
    rows.check()
    assert rows.vectors.verify()[0].ok


def test_two_workers_at_once(rows: Rows) -> None:
    rows.add(*(f"title {n}" for n in range(60)))
    threads = [threading.Thread(target=rows.vectors.sync_once, kwargs={"batch_size": 7}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with rows.engine.begin() as connection:
        connection.execute(text("UPDATE vecstore_outbox SET ready = 0"))
    rows.check()


def test_wrong_vectors(rows: Rows) -> None:
    with rows.sessions() as session:
        session.add(rows.Article(title="a", embedding=np.ones(3)))
        with pytest.raises(StatementError) as caught:
            session.flush()
    assert isinstance(caught.value.orig, DimensionMismatch)
    with pytest.raises(DimensionMismatch):
        rows.titles([1.0, 2.0])
    with pytest.raises(InvalidQuery):
        rows.titles("…")


def test_wrong_declarations() -> None:
    with pytest.raises(InvalidArgument, match="Flat"):
        VectorColumn(index="hnsw")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="Did you mean 'cosine'"):
        VectorColumn(metric="cosin")

    class Base(DeclarativeBase):
        pass

    class Article(Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        embedding: Mapped[np.ndarray | None] = VectorColumn(dim=3)
        flat: Mapped[np.ndarray | None] = VectorColumn(index=Flat())
        search = searchable("title", into="embedding")

    mock: Any = create_mock_engine(
        "postgresql+psycopg://", lambda statement, *_: str(statement.compile(dialect=mock.dialect))
    )
    with pytest.raises(InvalidArgument, match="no dimension yet"):
        Base.metadata.create_all(mock, checkfirst=False)
    embedder = FunctionEmbedder(embed_words, dim=DIM, name="words")
    with pytest.raises(InvalidArgument, match="has dim=3, but the embedder makes 64"):
        VectorORM(Base, embedder=embedder)
    distance = Article.flat.cosine_distance([1.0])
    with pytest.raises(Unsupported, match="mysql does not support distances"):
        select(distance).compile(dialect=create_mock_engine("mysql://", lambda *_: None).dialect)


@pytest.mark.parametrize(
    "into, message", [("title", "is no VectorColumn"), ("nothing", "there is no column 'nothing'")]
)
def test_a_declaration_into_another_column(into: str, message: str) -> None:
    class Base(DeclarativeBase):
        pass

    class Article(Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        search = searchable("title", into=into)

    with pytest.raises(InvalidArgument, match=message):
        VectorORM(Base, embedder=FunctionEmbedder(embed_words, dim=DIM, name="words"))
