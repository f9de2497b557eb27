"""A change of the model while rows are written and searched: vectors in rows, and in a store."""

# Longer than 300 lines because every step of a rebuild is interrupted here.

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, inspect, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.orm.application import embed_words
from vecstore import HNSW, DeadLetters, EmbedderMismatch, Flat, InvalidArgument, StoreLocked
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import RowsRebuilt, VectorColumn, VectorORM, searchable

OLD, NEW = 64, 32


class Model:
    """An embedder whose vectors say which one made them: those of another one are far from all of its own."""

    def __init__(self, name: str, dim: int = OLD, refused: str = "never") -> None:
        self.seen: list[str] = []
        self.hook: Callable[[], None] = lambda: None
        self.refused = refused
        self.sign = 1.0 if name == "old" else -1.0
        self.dim = dim
        self.embedder = FunctionEmbedder(self._embed, dim=dim, name=name)

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        if any(self.refused in each for each in texts):
            raise ValueError("refused")
        self.hook()
        self.seen += [each for each in texts if each != "word"]  # a probe
        folded: NDArray[np.float32] = embed_words(texts).reshape(len(texts), -1, self.dim).sum(axis=1)
        return self.sign * folded


class Deployed:
    """One process's view of the application: its models with one embedder or two."""

    def __init__(self, engine: Engine, *models: Model, into: str = "embedding", stores: Any = None) -> None:
        class Base(DeclarativeBase):
            pass

        class Article(Base):
            __tablename__ = "article"
            id: Mapped[int] = mapped_column(primary_key=True)
            title: Mapped[str]
            if into == "embedding":
                embedding: Mapped[np.ndarray | None] = VectorColumn(index=HNSW(m=8))
            search = searchable("title", into=into, index=Flat())

        embedders = tuple(each.embedder for each in models)
        self.engine, self.Article, self.Base = engine, Article, Base
        self.vectors = VectorORM(Base, embedder=embedders if len(embedders) > 1 else embedders[0], stores=stores)
        Base.metadata.create_all(engine)
        self.sessions = self.vectors.install(sessionmaker(engine))

    def add(self, *titles: str) -> None:
        with self.sessions.begin() as session:
            session.add_all(self.Article(title=title) for title in titles)

    def find(self, query: str = "tea", k: int = 1) -> list[tuple[str, float]]:
        with self.sessions() as session:
            return [(row.title, hit.score) for row, hit in self.vectors.search(session, self.Article.search, query, k)]

    def columns(self) -> dict[str, str]:
        return {each["name"]: str(each["type"]) for each in inspect(self.engine).get_columns("article")}

    def read(self, column: str = "embedding") -> dict[str, Any]:
        with self.engine.connect() as connection:
            rows = connection.execute(text(f"SELECT title, {column} FROM article ORDER BY id")).all()  # noqa: S608 - ours
        return {
            title: None
            if found is None
            else np.frombuffer(found, "<f4")
            if isinstance(found, bytes)
            else np.array(found[1:-1].split(","), np.float32)
            for title, found in rows
        }


@pytest.fixture(autouse=True)
def know_the_type(engine: Engine) -> None:
    """SQLAlchemy warns of a type that it does not know."""
    if engine.dialect.name == "postgresql":
        from vecstore.orm.vector_columns import PostgresVector

        engine.dialect.ischema_names = {**engine.dialect.ischema_names, "vector": PostgresVector}  # type: ignore[attr-defined]


@pytest.fixture
def old() -> Model:
    return Model("old")


@pytest.mark.parametrize("dim", [OLD, NEW])
def test_all_of_it(engine: Engine, old: Model, dim: int) -> None:
    new = Model("new", dim)
    both = Deployed(engine, old, new)
    both.add("green tea", "a train", "rice")
    both.vectors.sync_once()
    assert new.seen == []
    assert both.find()[0][0] == "green tea"
    before = both.find()
    done = both.vectors.rebuild(both.Article.search)
    assert isinstance(done, RowsRebuilt)
    assert (done.changed, done.rows) == (True, 3)
    assert sorted(new.seen) == ["a train", "green tea", "rice"]
    [(title, score)] = both.find()
    assert (title, score > 0.1) == ("green tea", True)
    assert all((vector < 0).all() for vector in both.read("embedding_next").values())
    # Both columns follow the rows, so that there is a way back.
    both.add("iced tea")
    both.vectors.sync_once()
    assert (both.read()["iced tea"] > 0).all()
    assert (both.read("embedding_next")["iced tea"] < 0).all()
    both.vectors.rollback(both.Article.search)
    assert both.find(k=9)[0] == before[0]
    assert {title for title, _ in both.find(k=9)} == {"green tea", "iced tea", "a train", "rice"}
    assert both.vectors.rebuild(both.Article.search).changed
    assert both.vectors.drop_previous(both.Article.search)
    assert not both.vectors.drop_previous(both.Article.search)
    assert "embedding_next" not in both.columns()
    assert both.find()[0][0] in {"green tea", "iced tea"}
    assert all((vector < 0).all() and len(vector) == dim for vector in both.read().values())
    # The code that has the new model alone goes on where this one ends.
    later = Deployed(engine, new)
    seen = len(new.seen)
    assert later.vectors.verify(later.Article.search)[0].ok
    assert len(new.seen) == seen
    later.add("mint tea")
    later.vectors.sync_once()
    assert "mint tea" in {title for title, _ in later.find(k=5)}
    assert not later.vectors.rebuild(later.Article.search).changed


def test_a_process_that_knows_nothing_of_it_is_refused(engine: Engine, old: Model) -> None:
    both = Deployed(engine, old, new := Model("new"))
    stale = Deployed(engine, old)
    early = Deployed(engine, new)
    both.add("green tea")
    both.vectors.sync_once()
    assert stale.find()[0][0] == "green tea"
    with pytest.raises(EmbedderMismatch, match="embedder=\\(old, new\\)"):
        early.find()
    both.vectors.rebuild(both.Article.search)
    with pytest.raises(EmbedderMismatch, match="sync rebuild"):
        stale.find()
    assert early.find()[0][0] == "green tea"
    stale.add("a train")
    stale.vectors.sync_once()
    assert both.read("embedding_next")["a train"] is None
    assert stale.vectors.status()["Article.search"].pending == 1
    with engine.begin() as connection:
        connection.execute(text("UPDATE vecstore_outbox SET ready = 0"))
    both.vectors.sync_once()
    assert both.read("embedding_next")["a train"] is not None


def test_a_worker_with_the_old_model_leaves_the_new_column_its_changes(engine: Engine, old: Model) -> None:
    both = Deployed(engine, old, new := Model("new"))
    both.add("green tea", "rice")
    both.vectors.sync_once()
    begin(both, new)
    Deployed(engine, old).vectors.sync_once()  # it finds nothing of its own
    stale = Deployed(engine, old)
    with stale.sessions.begin() as session:
        session.execute(text("UPDATE article SET title = 'black tea' WHERE title = 'green tea'"))
        session.execute(text("DELETE FROM article WHERE title = 'rice'"))
    stale.vectors.sync_once()
    assert new.seen == []
    both.vectors.rebuild(both.Article.search)
    assert new.seen == ["black tea"]
    assert both.find()[0][0] == "black tea"


def begin(app: Deployed, new: Model) -> None:
    """Make the second column, as a rebuild does that is killed right after."""
    from vecstore.orm.row_generations import identify

    model = app.vectors._models[0]
    made = app.vectors._columns.make_rebuild(model, app.engine, app.vectors._outbox, new.embedder)
    assert made.create(identify(new.embedder), new.dim)


def test_a_rebuild_that_is_given_up(engine: Engine, old: Model) -> None:
    both = Deployed(engine, old, new := Model("new", NEW))
    both.add("green tea")
    both.vectors.sync_once()
    with pytest.raises(InvalidArgument, match="no rebuild"):
        both.vectors.rollback(both.Article.search)
    begin(both, new)
    third = Model("third")
    with pytest.raises(StoreLocked, match="not finished"):
        both.vectors.rebuild(both.Article.search, embedder=third.embedder)
    both.vectors.rollback(both.Article.search)
    assert "embedding_next" not in both.columns()
    assert both.find()[0][0] == "green tea"
    both.vectors.rebuild(both.Article.search)
    with pytest.raises(StoreLocked, match="drop_previous"):
        both.vectors.rebuild(both.Article.search, embedder=third.embedder)


def test_a_text_that_the_new_model_refuses(engine: Engine, old: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.orm.worker.MAX_ATTEMPTS", 1)
    both = Deployed(engine, old, new := Model("new", refused="poison"))
    both.add("green tea", "poison")
    both.vectors.sync_once()
    with pytest.raises(DeadLetters):
        both.vectors.rebuild(both.Article.search)
    assert len(both.find(k=5)) == 2
    with both.sessions.begin() as session:
        session.execute(text("UPDATE article SET title = 'water' WHERE title = 'poison'"))
    both.vectors.sync_once()
    assert both.vectors.rebuild(both.Article.search).changed
    assert sorted(new.seen) == ["green tea", "water"]


@pytest.mark.long
def test_a_rebuild_adopts_the_model_that_the_process_did_not_have(engine: Engine, old: Model) -> None:
    only = Deployed(engine, old)
    only.add("green tea")
    only.vectors.sync_once()
    new = Model("new", NEW)
    assert only.vectors.rebuild(only.Article.search, embedder=new.embedder).changed
    assert Deployed(engine, new).find()[0][0] == "green tea"
    only.vectors.rollback(only.Article.search)
    assert only.find()[0][0] == "green tea"


def test_a_store(engine: Engine, old: Model, tmp_path: Path) -> None:
    new = Model("new", NEW)
    stores = {"articles": f"file:{tmp_path / 'stores'}"}
    both = Deployed(engine, old, new, into="store:articles", stores=stores)
    Deployed(engine, old, into="store:articles", stores=stores).vectors.close()
    stale = Deployed(engine, old, into="store:articles", stores=stores)
    stale.add("green tea", "rice")
    stale.vectors.sync_once()
    assert both.find()[0][0] == "green tea"
    assert both.vectors.rebuild(both.Article.search).changed
    assert both.find()[0][0] == "green tea"
    both.add("iced tea")
    both.vectors.sync_once()
    both.vectors.rollback(both.Article.search)
    assert {title for title, _ in stale.find(k=2)} == {"green tea", "iced tea"}
    assert both.vectors.rebuild(both.Article.search).changed
    assert both.vectors.drop_previous(both.Article.search)
    both.vectors.close()
    stale.vectors.close()


@pytest.mark.long
def test_searches_and_writers_meanwhile(engine: Engine, old: Model) -> None:
    """Every answer is of one model: a score of vectors of two models is below zero here."""
    both = Deployed(engine, old, new := Model("new"))
    both.add(*(f"tea number {n}" for n in range(150)))
    both.vectors.sync_once()
    ends, faults = threading.Event(), list[Any]()
    random_ = random.Random(1)

    def search() -> None:
        app = Deployed(engine, old, new)
        while not ends.is_set():
            worst = min(score for _, score in app.find("tea number", k=20))
            if worst < 0.2:
                faults.append(worst)

    def write() -> None:
        number = 0
        while not ends.is_set():
            number += 1
            with both.sessions.begin() as session:
                chosen = random_.randrange(1, 151)
                session.execute(
                    text("UPDATE article SET title = :title WHERE id = :id"),
                    {"title": f"tea number {number}", "id": chosen},
                )
            time.sleep(0.005)  # a writer's own pace

    def guard(job: Any) -> Any:
        def run_job() -> None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - the test reports it
                faults.append(error)

        return run_job

    threads = [threading.Thread(target=guard(each)) for each in (search, write)]
    with both.vectors.run_worker():
        for thread in threads:
            thread.start()
        both.vectors.rebuild(both.Article.search)
        both.vectors.rollback(both.Article.search)
        both.vectors.rebuild(both.Article.search)
        both.vectors.drop_previous(both.Article.search)
        ends.set()
        for thread in threads:
            thread.join()
        both.vectors.wait(timeout=30)
    assert faults == []
    assert both.vectors.verify()[0].ok
    for title, vector in both.read().items():
        assert vector.tolist() == (-embed_words([title])[0]).tolist()


KILLED = """
import os, sys
from sqlalchemy import create_engine
from tests.orm.application import make_engine
from tests.orm.test_rebuild import Deployed, Model

engine = make_engine(sys.argv[1], sys.argv[2] or None)
old, new = Model("old"), Model("new")
app = Deployed(engine, old, new)
count = 0

def wait():
    global count
    count += 1
    print("embedding", flush=True)
    if count == 3:
        sys.stdin.read()

new.hook = wait
monkey = sys.modules["vecstore.orm.column_generations"].SyncWorker
sys.modules["vecstore.orm.column_generations"].SyncWorker = lambda *given: monkey(*given, batch_size=10, lease=0.3)
app.vectors.rebuild(app.Article.search)
"""


@pytest.mark.long
def test_a_rebuild_is_killed_and_run_again(engine: Engine, old: Model, request: pytest.FixtureRequest) -> None:
    both = Deployed(engine, old, new := Model("new"))
    both.add(*(f"tea number {n}" for n in range(60)))
    both.vectors.sync_once()
    schema = request.getfixturevalue("namespace") if engine.dialect.name == "postgresql" else ""
    url = engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, url, schema], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline() == "embedding\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert both.find()[0][0].startswith("tea")
    assert both.vectors.rebuild(both.Article.search).changed
    assert 0 < len(new.seen) < 60
    assert both.vectors.verify()[0].ok
    for title, vector in both.read("embedding_next").items():
        assert vector.tolist() == (-embed_words([title])[0]).tolist()


PROGRAM = """
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
import numpy as np
from vecstore.embedders import WordLlamaEmbedder
from vecstore.orm import VectorColumn, VectorORM, searchable

class Base(DeclarativeBase):
    pass

class Article(Base):
    __tablename__ = "article"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    embedding: Mapped[np.ndarray | None] = VectorColumn()
    search = searchable("title", into="embedding")

engine = create_engine("sqlite:///app.db")
vectors = VectorORM(Base, embedder=WordLlamaEmbedder())
Base.metadata.create_all(engine)
Session = vectors.install(sessionmaker(engine))
"""


def test_the_command(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rebuilt_app.py").write_text(PROGRAM)
    place = ("sync", "rebuild", "rebuilt_app:vectors", "Article.search")
    assert "nothing to change" in run(*place).out
    assert "the new vectors are searched" in run(*place, "--embedder", "wordllama:64").out
    assert '"changed": true' in run(*place, "--rollback", "--json").out
    again = run(*place, "--rollback")  # to vectors of a model that the application does not have
    assert (again.code, again.err.count("--embedder"), again.err.count("`vecstore sync rebuild`")) == (2, 0, 1)
    run(*place, "--embedder", "wordllama:64")
    assert "dropped" in run(*place, "--drop-previous").out
    assert '"dropped": false' in run(*place, "--drop-previous", "--json").out
    for wrong in (("--rollback", "--drop-previous"), ("--rollback",), ("--drop-previous", "--embedder", "wordllama")):
        assert run(*place, *wrong).code == 2
    assert run("sync", "rebuild", "rebuilt_app:vectors", "Nothing.search").code == 2
    sys.modules.pop("rebuilt_app", None)
