"""`VectorStore.using`: vectors and the application's own rows in one transaction."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, Text, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vecstore
from tests.postgres.places import PostgresPlace
from vecstore import (
    HNSW,
    BackendUnavailable,
    Database,
    F,
    Flat,
    InvalidArgument,
    Record,
    RecordExists,
    Schema,
    StoreLocked,
    Unsupported,
    VectorStore,
    fields,
)

SETTINGS = ("lock_timeout", "statement_timeout", "hnsw.ef_search", "hnsw.iterative_scan", "enable_seqscan")
SCHEMA = Schema(dim=2, metric="l2", index=Flat(), fields={"year": fields.Int()})


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "article"
    id: Mapped[str] = mapped_column(Text, primary_key=True)


@pytest.fixture
def place(postgres_url: str) -> Iterator[PostgresPlace]:
    place = PostgresPlace(postgres_url)
    yield place
    place.close()


@pytest.fixture
def engine(place: PostgresPlace) -> Iterator[Engine]:
    address = place.server.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(address, connect_args={"options": f"-c search_path={place.namespace}"})
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def db(engine: Engine, place: PostgresPlace) -> Iterator[Database]:
    """Return a database on the application's own engine."""
    with vecstore.connect(engine, namespace=place.namespace) as db:
        yield db


@pytest.fixture
def store(db: Database) -> VectorStore:
    store = db.create("articles", SCHEMA)
    store.insert([Record("old", [0, 0], "old text", {"year": 1})])
    return store


def articles(engine: Engine) -> list[str]:
    with Session(engine) as session:
        return sorted(article.id for article in session.query(Article))


def ids(store: VectorStore) -> list[str]:
    return [record.id for record in store.scan()]


def test_both_commit(engine: Engine, store: VectorStore) -> None:
    with Session(engine) as session, session.begin():
        session.add(Article(id="new"))
        joined = store.using(session)
        assert joined.insert([Record("new", [1, 1])]) == 1
        assert joined.update(ids=["old"], metadata={"year": 2, "note": "kept"}) == 1
        assert [hit.id for hit in joined.search([1, 1], k=1)] == ["new"]
        assert ids(store) == ["old"]
    assert (articles(engine), ids(store)) == (["new"], ["new", "old"])
    assert store.get(["old"]) == [Record("old", [0, 0], "old text", {"year": 2, "note": "kept"})]


def test_both_roll_back(engine: Engine, store: VectorStore) -> None:
    with Session(engine) as session:
        session.add(Article(id="new"))
        joined = store.using(session)
        joined.upsert([Record("new", [1, 1]), Record("old", [9, 9])])
        joined.delete(where=F.year == 1)
        session.rollback()
    assert (articles(engine), ids(store)) == ([], ["old"])
    assert store.get(["old"]) == [Record("old", [0, 0], "old text", {"year": 1})]


def test_a_plain_connection_will_do(engine: Engine, store: VectorStore) -> None:
    with engine.begin() as connection:
        store.using(connection).delete(ids=["old"])
        assert store.count() == 1
        assert store.using(connection).count() == 0
    assert store.count() == 0


def test_a_failed_call_leaves_the_transaction_usable(engine: Engine, store: VectorStore) -> None:
    with Session(engine) as session, session.begin():
        session.add(Article(id="new"))
        joined = store.using(session)
        joined.insert([Record("first", [1, 0])])
        with pytest.raises(RecordExists):
            joined.insert([Record("second", [1, 0]), Record("old", [1, 0])])
        joined.insert([Record("third", [1, 0])])
    assert (articles(engine), ids(store)) == (["new"], ["first", "old", "third"])


def test_settings_of_the_transaction_are_as_before(engine: Engine, db: Database) -> None:
    store = db.create("indexed", Schema(dim=2, index=HNSW(m=4, ef_construction=10), fields={"year": fields.Int()}))
    store.insert(Record(str(n), [n, 1], metadata={"year": n}) for n in range(200))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '777ms'"))
        connection.execute(text("SET LOCAL hnsw.ef_search = 55"))

        def settings() -> list[str]:
            return [str(connection.scalar(text(f"SHOW {name}"))) for name in SETTINGS]

        before = settings()
        joined = store.using(connection)
        joined.search([1, 1], ef=300)
        joined.search([1, 1], exact=True)
        joined.search([1, 1], where=F.year > 3)
        joined.upsert([Record("new", [1, 2])])
        joined.update(ids=["new"], metadata={"x": 1})
        joined.delete(ids=["new"])
        joined.get(["1"])
        assert settings() == before
        assert "777ms" in before


def test_notes_and_guard_belong_to_the_transaction(engine: Engine, place: PostgresPlace, store: VectorStore) -> None:
    """An open transaction delays a switch, at most for its lock_timeout."""
    with vecstore.connect(f"{place.url}&lock_timeout=0.2") as other, engine.begin() as connection:
        store.using(connection).insert([Record("new", [1, 1])])
        with pytest.raises(StoreLocked):
            other.rebuild("articles", schema=SCHEMA.with_index(HNSW()))
    assert ids(store) == ["new", "old"]


def test_what_changes_the_catalogue_stays_outside(engine: Engine, store: VectorStore) -> None:
    with engine.begin() as connection:
        joined = store.using(connection)
        with pytest.raises(Unsupported, match="inside a transaction"):
            joined.reindex()
        with pytest.raises(Unsupported, match="inside a transaction"):
            joined.compact()
        assert joined.count() == 1


def test_a_failed_transaction_is_refused(engine: Engine, store: VectorStore) -> None:
    with Session(engine) as session:
        joined = store.using(session)
        with pytest.raises(Exception, match="division"):
            session.execute(text("SELECT 1 / 0"))
        with pytest.raises(BackendUnavailable, match="Roll it back"):
            joined.count()


def test_only_what_can_be_joined_is_taken(store: VectorStore, db: Database) -> None:
    for wrong in (None, "postgresql://host/db", object(), db):
        with pytest.raises(InvalidArgument, match="Connection or Session"):
            store.using(wrong)


def test_the_applications_engine_stays_open(engine: Engine, place: PostgresPlace) -> None:
    with vecstore.connect(engine, namespace=place.namespace) as db:
        db.create("mine", SCHEMA).upsert([Record("a", [1, 1])])
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        assert connection.connection.driver_connection.autocommit is False  # type: ignore[union-attr]
