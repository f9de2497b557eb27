"""Migrations of an application: what autogenerate writes, up and down on live data."""

# Longer than 300 lines because every change of a declaration is migrated here, up and down.

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from alembic import context
from sqlalchemy import Engine, ForeignKey, MetaData, inspect, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import vecstore
from tests.orm.application import DIM, embed_words, make_engine
from tests.orm.migrated import Migrated, Models
from vecstore import HNSW, EmbedderMismatch, Flat, InvalidArgument, StoreLocked, Unsupported
from vecstore.alembic import setup
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorColumn, VectorORM, searchable
from vecstore.orm.row_generations import RowGeneration, plan_column
from vecstore.orm.triggers import read_captures
from vecstore.orm.vector_indexes import VectorIndex, read_indexes

INDEX = "ix_article_embedding_hnsw"


def make_models(
    engine: Engine,
    *,
    metric: str = "cosine",
    index: Any = None,
    dim: int = DIM,
    former: Any = None,
    texts: tuple[str, ...] = ("title",),
    searched: bool = True,
    noted: bool = True,
) -> Models:
    """An article has its vector in the row, a note in a store."""

    class Base(DeclarativeBase):
        pass

    class Article(Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        body: Mapped[str | None]
        if searched:
            embedding: Mapped[np.ndarray | None] = VectorColumn(metric=metric, index=index)
            search = searchable(*texts, into="embedding")

    if noted:

        class Note(Base):
            __tablename__ = "note"
            id: Mapped[int] = mapped_column(primary_key=True)
            text: Mapped[str]
            owner: Mapped[str]
            article_id: Mapped[int | None] = mapped_column(ForeignKey("article.id"))
            search = searchable("text", fields=("owner",), into="store:notes", index=Flat())

    def embed(given: list[str]) -> Any:
        return np.pad(embed_words(given), ((0, 0), (0, max(dim - DIM, 0))))[:, :dim]

    places = {"notes": vecstore.connect("memory:")} if noted else {}
    newest = FunctionEmbedder(embed, dim=dim, name="words")
    vectors = VectorORM(Base, embedder=newest if former is None else (former, newest), stores=places)
    vectors.install(sessionmaker(engine))
    return Models(engine, Base.metadata, vectors)


@pytest.fixture
def migrated(tmp_path: Path) -> Migrated:
    return Migrated(tmp_path)


def deploy(migrated: Migrated, models: Models) -> str:
    """Deploy models: autogenerate a migration and upgrade; return its text."""
    migrated.use(models)
    scripts = migrated.revise()
    migrated.upgrade()
    assert migrated.list_differences() == ""
    return "\n".join(scripts)


def add_articles(engine: Engine, *titles: str) -> None:
    with engine.begin() as connection:
        for title in titles:
            connection.execute(text("INSERT INTO article (title) VALUES (:title)"), {"title": title})


def count_noted(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM vecstore_outbox")).scalar_one())


def count_vectors(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(embedding) FROM article")).scalar_one())


def find_index(engine: Engine) -> VectorIndex | None:
    with engine.connect() as connection:
        found = read_indexes(connection, "article", None).get(INDEX)
    return None if found is None else found.index


def is_postgresql(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def test_a_new_application_up_and_down(migrated: Migrated, engine: Engine) -> None:
    models = make_models(engine, index=HNSW())
    script = deploy(migrated, models)
    assert "from vecstore.orm import RowVector" in script
    assert script.count("op.create_capture(") == script.count("op.drop_capture(") == 2
    add_articles(engine, "Tea", "Rice")
    models.vectors.sync_once()
    assert (count_vectors(engine), count_noted(engine)) == (2, 0)
    if is_postgresql(engine):
        assert find_index(engine) is not None
    migrated.downgrade("base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    with engine.connect() as connection:
        left = (
            "SELECT count(*) FROM pg_proc WHERE proname LIKE 'vecstore%' AND pg_function_is_visible(oid)"
            if is_postgresql(engine)
            else "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
        )
        assert connection.execute(text(left)).scalar_one() == 0
    migrated.upgrade()
    assert migrated.list_differences() == ""
    models.vectors.close()


def test_a_downgrade_and_an_upgrade_again_leave_a_store_that_takes_changes(migrated: Migrated, engine: Engine) -> None:
    models = make_models(engine)
    deploy(migrated, models)
    write_note(engine, "green tea")
    for number in range(3):  # each has a larger fence than the one before
        write_note(engine, f"tea number {number}")
        models.vectors.sync_once()
    migrated.downgrade("base")
    migrated.upgrade()
    write_note(engine, "a train")  # with the key that the record has
    models.vectors.sync_once()
    note = models.vectors.declarations["Note.search"]
    with Session(engine) as session:
        [(_, hit)] = models.vectors.search(session, note, "train", k=1)
        assert (hit.id, hit.text) == ("1", "a train")
    assert all(check.ok for check in models.vectors.verify())


def write_note(engine: Engine, words: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM note"))
        connection.execute(text("INSERT INTO note (id, text, owner) VALUES (1, :words, 'ada')"), {"words": words})


@pytest.mark.long
def test_what_create_all_makes_is_what_a_migration_makes(migrated: Migrated, engine: Engine) -> None:
    models = make_models(engine, index=HNSW())
    models.metadata.create_all(engine)
    migrated.use(models)
    assert migrated.list_differences() == ""


def test_a_migration_written_on_sqlite_is_right_on_postgresql(tmp_path: Path, engine: Engine, sqlite_url: str) -> None:
    migrated = Migrated(tmp_path)
    written_on = make_engine(sqlite_url)
    migrated.use(make_models(written_on, index=HNSW()))
    migrated.revise()
    written_on.dispose()
    models = make_models(engine, index=HNSW())
    migrated.use(models)
    migrated.upgrade()
    assert migrated.list_differences() == ""
    add_articles(engine, "Tea")
    models.vectors.sync_once()
    assert count_vectors(engine) == 1


@pytest.mark.parametrize(
    "changed, expected",
    [
        ({"index": HNSW(m=24)}, {"options": {"m": 24, "ef_construction": 100}}),
        pytest.param(
            {"index": HNSW(ef_construction=200)}, {"options": {"m": 16, "ef_construction": 200}}, marks=pytest.mark.long
        ),
        ({"index": HNSW(), "metric": "l2"}, {"opclass": "vector_l2_ops"}),
        pytest.param({"index": Flat()}, None, marks=pytest.mark.long),
    ],
)
def test_a_changed_index_and_the_way_back(
    migrated: Migrated, engine: Engine, changed: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    deploy(migrated, make_models(engine, index=HNSW()))
    add_articles(engine, "Tea")
    before = find_index(engine)
    migrated.use(make_models(engine, **changed))
    if not is_postgresql(engine):
        assert migrated.list_differences() == ""
        return
    assert before is not None
    [script] = migrated.revise()
    assert "concurrently=True" in script
    migrated.upgrade()
    assert migrated.list_differences() == ""
    found = find_index(engine)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert {name: getattr(found, name) for name in expected} == expected
    migrated.downgrade()
    assert find_index(engine) == before
    assert migrated.list_differences() != ""


def test_an_index_comes_in_a_revision_of_its_own(migrated: Migrated, engine: Engine) -> None:
    deploy(migrated, make_models(engine, noted=False))
    add_articles(engine, "Tea")
    migrated.use(make_models(engine, index=HNSW()))
    scripts = migrated.revise()
    if not is_postgresql(engine):
        assert len(scripts) == 1
        return
    assert ["create_table" in script for script in scripts] == [True, False]
    assert "concurrently=True" in scripts[1]
    migrated.upgrade()
    assert migrated.list_differences() == ""
    migrated.downgrade("-2")
    assert find_index(engine) is None
    migrated.upgrade()
    assert find_index(engine) is not None


@pytest.mark.long
def test_an_index_of_another_kind_that_somebody_made(migrated: Migrated, engine: Engine) -> None:
    if not is_postgresql(engine):
        pytest.skip("a matter of PostgreSQL")
    models = make_models(engine, index=HNSW())
    deploy(migrated, models)
    with engine.begin() as connection:
        connection.execute(text(f"DROP INDEX {INDEX}"))
        connection.execute(
            text(f"CREATE INDEX {INDEX} ON article USING ivfflat (embedding vector_cosine_ops) WITH (lists = 3)")
        )
        connection.execute(text("CREATE INDEX of_mine ON article USING hnsw (embedding vector_l2_ops)"))
        connection.execute(text("DROP INDEX of_mine"))
    before = find_index(engine)
    assert before is not None
    script = deploy(migrated, models)
    assert "replace_vector_index" in script
    migrated.downgrade()
    assert find_index(engine) == before


@pytest.mark.long
def test_an_index_that_was_never_finished_is_built_again(migrated: Migrated, engine: Engine) -> None:
    if not is_postgresql(engine):
        pytest.skip("a matter of PostgreSQL")
    models = make_models(engine, index=HNSW())
    deploy(migrated, models)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(:name)"), {"name": INDEX}
        )
    script = deploy(migrated, models)
    assert "create_vector_index" in script
    assert find_index(engine) is not None


@pytest.mark.long
def test_an_upgrade_that_stopped_after_the_index_was_built(migrated: Migrated, engine: Engine) -> None:
    deploy(migrated, make_models(engine))
    migrated.use(make_models(engine, index=HNSW()))
    if not is_postgresql(engine):
        return
    migrated.revise()
    migrated.upgrade()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :old"), {"old": _find_previous(migrated)})
    migrated.upgrade()
    assert migrated.list_differences() == ""


def _find_previous(migrated: Migrated) -> str:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(migrated.config)
    head = script.get_current_head()
    assert head is not None
    previous = script.get_revision(head).down_revision
    assert isinstance(previous, str)
    return previous


@pytest.mark.long
def test_half_precision(migrated: Migrated, engine: Engine) -> None:
    deploy(migrated, make_models(engine, index=HNSW(), dim=2_500, noted=False))
    if is_postgresql(engine):
        found = find_index(engine)
        assert found is not None
        assert (found.halfvec, found.opclass) == (2_500, "halfvec_cosine_ops")


def test_a_changed_declaration_gets_new_triggers_and_the_old_ones_back(migrated: Migrated, engine: Engine) -> None:
    first = make_models(engine)
    deploy(migrated, first)
    add_articles(engine, "Tea")
    first.vectors.sync_once()
    second = make_models(engine, texts=("title", "body"))
    script = deploy(migrated, second)
    assert "'body': 'text'" in script
    with engine.begin() as connection:
        connection.execute(text("UPDATE article SET body = 'hot'"))
    assert count_noted(engine) == 1
    second.vectors.sync_once()
    migrated.downgrade()
    with engine.begin() as connection:
        connection.execute(text("UPDATE article SET body = 'cold'"))
    assert count_noted(engine) == 0
    migrated.use(first)
    migrated.upgrade("head")
    migrated.downgrade()
    assert first.vectors.verify()[0].missing_triggers == ()


@pytest.mark.long
def test_missing_triggers_are_made(migrated: Migrated, engine: Engine) -> None:
    models = make_models(engine)
    deploy(migrated, models)
    with engine.begin() as connection:
        from vecstore.orm.triggers import plan_removal

        for statement in plan_removal(engine.dialect, models.vectors.captures[0], connection)[:1]:
            connection.exec_driver_sql(statement)
    assert "create_capture" in migrated.list_differences()
    deploy(migrated, models)


@pytest.mark.long
def test_a_model_that_is_searched_no_more(migrated: Migrated, engine: Engine) -> None:
    deploy(migrated, make_models(engine, index=HNSW()))
    add_articles(engine, "Tea")
    script = deploy(migrated, make_models(engine, searched=False))
    assert "op.drop_column('article', 'embedding')" in script
    add_articles(engine, "Rice")
    assert count_noted(engine) == 1
    migrated.downgrade()
    add_articles(engine, "Cheese")
    assert count_noted(engine) == 2
    models = make_models(engine, index=HNSW())
    models.vectors.backfill()
    models.vectors.sync_once()
    assert count_vectors(engine) == 3
    assert models.vectors.verify()[0].ok


@pytest.mark.long
def test_a_table_that_goes(migrated: Migrated, engine: Engine) -> None:
    deploy(migrated, make_models(engine))
    script = deploy(migrated, make_models(engine, noted=False))
    assert "op.drop_table('note')" in script
    migrated.downgrade()
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO note (text, owner) VALUES ('tea', 'ada')"))
    assert count_noted(engine) == 1


def test_a_table_that_sqlite_copies_keeps_its_triggers(tmp_path: Path, engine: Engine) -> None:
    migrated = Migrated(tmp_path, render_as_batch=True)
    deploy(migrated, make_models(engine))
    models = make_models(engine)
    models.metadata.tables["article"].c.body.nullable = False
    script = deploy(migrated, models)
    assert "batch_alter_table" in script
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO article (title, body) VALUES ('tea', '')"))
    assert count_noted(engine) == 1
    migrated.downgrade()
    add_articles(engine, "rice")
    assert count_noted(engine) == 2


def test_tables_of_stores_in_the_same_schema_stay(migrated: Migrated, engine: Engine) -> None:
    models = make_models(engine)
    deploy(migrated, models)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE vecstore_store (name TEXT)"))
        connection.execute(text("CREATE TABLE vecstore_alembic_version (version_num TEXT)"))
        connection.execute(text("CREATE TABLE stranger (name TEXT)"))
    differences = migrated.list_differences()
    assert "stranger" in differences
    assert "vecstore" not in differences


@pytest.mark.long
def test_hooks_of_the_application_are_still_called(tmp_path: Path, engine: Engine) -> None:
    seen: list[str] = []

    def include(item: Any, name: str, type_: str, reflected: bool, compare_to: Any) -> bool:  # noqa: FBT001
        return name != "stranger"

    def render(type_: str, item: Any, autogen: Any) -> Any:
        return "sa.String(length=None)" if type_ == "type" and item.__class__.__name__ == "String" else False

    def process(context: Any, revision: Any, directives: Any) -> None:
        seen.append("processed")

    migrated = Migrated(tmp_path, include_object=include, render_item=render, process_revision_directives=process)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stranger (name TEXT)"))
    script = deploy(migrated, make_models(engine))
    assert "sa.Column('title', sa.String(length=None)" in script
    assert "stranger" not in script
    assert "RowVector(64, 'cosine')" in script
    assert seen


@pytest.mark.long
def test_setup_after_configure(migrated: Migrated, engine: Engine) -> None:
    env = migrated.folder / "migrations" / "env.py"
    call = "setup(context, models.vectors)"
    before, _, after = env.read_text().partition(f"{call}\n")
    lines = before + re.sub(r"^( +)(with context\.begin)", rf"\1{call}\n\1\2", after, flags=re.MULTILINE)
    assert lines.count(call) == 2
    env.write_text(lines)
    deploy(migrated, make_models(engine, index=HNSW()))


def test_sql_that_an_administrator_runs(migrated: Migrated, engine: Engine) -> None:
    models = make_models(engine)
    migrated.use(models)
    migrated.revise()
    if is_postgresql(engine):
        migrated.use(make_models(engine, index=HNSW(m=24)))
        migrated.upgrade()
        migrated.revise()
        migrated.downgrade("base")
    written = migrated.write_sql()
    undone = migrated.write_sql("head:base", down=True)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    if is_postgresql(engine):
        assert "CREATE INDEX CONCURRENTLY" in written
        assert "DROP INDEX CONCURRENTLY IF EXISTS" in written
    run_sql(engine, written)
    assert migrated.list_differences() == ""
    add_articles(engine, "Tea")
    assert count_noted(engine) == 1
    run_sql(engine, undone)
    assert inspect(engine).get_table_names() in ([], ["alembic_version"])


def run_sql(engine: Engine, script: str) -> None:
    """Run a script as psql and sqlite3 do, statement by statement."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.connection.executescript(script)
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in script.split(";\n\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


@pytest.mark.parametrize("given", [(), ("vectors",), (None,)])
def test_setup_of_what_is_no_vectororm(given: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidArgument, match=r"call it in env\.py"):
        setup(context, *given)


@pytest.mark.long
def test_an_index_cannot_be_built_concurrently_in_a_transaction_of_the_application(
    tmp_path: Path, engine: Engine
) -> None:
    if not is_postgresql(engine):
        pytest.skip("a matter of PostgreSQL")
    migrated = Migrated(tmp_path)
    deploy(migrated, make_models(engine))
    migrated.use(make_models(engine, index=HNSW()))
    migrated.revise()
    env = migrated.folder / "migrations" / "env.py"
    env.write_text(env.read_text().replace("models.engine.connect()", "models.engine.begin()"))
    with pytest.raises(InvalidArgument, match="takes no transaction"):
        migrated.upgrade()
    assert find_index(engine) is None


PROGRAM = """
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
import numpy as np
from vecstore import HNSW
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorColumn, VectorORM, searchable

class Base(DeclarativeBase):
    pass

class Article(Base):
    __tablename__ = "article"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    embedding: Mapped[np.ndarray | None] = VectorColumn(index=HNSW())
    search = searchable("title", into="embedding")

engine = create_engine("sqlite:///app.db")
vectors = VectorORM(Base, embedder=FunctionEmbedder(lambda texts: np.ones((len(texts), 8)), dim=8, name="ones"))
Session = vectors.install(sessionmaker(engine))
"""


@pytest.mark.long
def test_the_command(tmp_path: Path) -> None:
    migrated = Migrated(tmp_path)
    (tmp_path / "models.py").write_text(PROGRAM)
    env = tmp_path / "migrations" / "env.py"
    env.write_text(
        env.read_text()
        .replace(
            'models = context.config.attributes["models"]', "import models\nmodels.metadata = models.Base.metadata"
        )
        .replace('options = context.config.attributes["options"]', "options = {}")
    )
    del migrated
    for arguments in (
        ["revision", "--autogenerate", "-m", "first"],
        ["upgrade", "head"],
        ["check"],
        ["downgrade", "base"],
    ):
        command = [sys.executable, "-W", "error", "-m", "alembic", *arguments]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_rows_are_searched_after_a_migration(migrated: Migrated, engine: Engine) -> None:
    models = make_models(engine, index=HNSW())
    deploy(migrated, models)
    add_articles(engine, "green tea", "a train")
    models.vectors.sync_once()
    article = models.vectors.declarations["Article.search"]
    with Session(engine) as session:
        [(row, _)] = models.vectors.search(session, article, "tea", k=1)
        assert row.title == "green tea"


def test_another_model_becomes_a_second_column(migrated: Migrated, engine: Engine) -> None:
    first = make_models(engine, index=HNSW())
    deploy(migrated, first)
    add_articles(engine, "green tea", "a train")
    first.vectors.sync_once()
    second = make_models(engine, index=HNSW(), dim=2 * DIM)
    script = deploy(migrated, second)
    assert "alter_column" not in script
    assert f"dim={2 * DIM}" in script
    migrated.downgrade()
    migrated.upgrade()
    old = first.vectors._stores.oldest
    both = make_models(engine, index=HNSW(), former=old, dim=2 * DIM)
    migrated.use(both)
    assert migrated.list_differences() == ""
    search = both.vectors.declarations["Article.search"]
    both.vectors.rebuild(search)
    for models in (both, second):
        migrated.use(models)
        assert migrated.list_differences() == ""
    both.vectors.drop_previous(search)
    migrated.use(second)
    assert migrated.list_differences() == ""
    with Session(engine) as session:
        [(row, _)] = second.vectors.search(session, second.vectors.declarations["Article.search"], "tea", k=1)
        assert row.title == "green tea"


@pytest.mark.long
def test_generations_by_migrations_alone(migrated: Migrated, engine: Engine) -> None:
    first = make_models(engine)
    deploy(migrated, first)
    add_articles(engine, "green tea", "a train")
    first.vectors.sync_once()
    both = make_models(engine, former=first.vectors._stores.oldest, dim=2 * DIM)
    deploy(migrated, both)
    live = both.vectors.columns[0].newest.embedder
    with engine.begin() as connection:
        from vecstore.orm.row_generations import name_target

        both.vectors._outbox.note(connection, name_target("article.search", live), ["[1]", "[2]"])
    both.vectors.sync_once()
    former = repr(first.vectors.columns[0].newest.embedder)
    steps = (
        f"op.switch_generation('article.search', embedder={live!r})",
        "op.drop_generation('article.search', 'article', 'embedding', "
        f"embedder={former}, dim={DIM}, was_searched=True)",
    )
    for step, undone in zip(steps, (f"op.switch_generation('article.search', embedder={former})", "pass"), strict=True):
        migrated.write_revision(step, undone)
    written = migrated.write_sql()
    assert "embedding_next" in written
    migrated.upgrade("+1")
    migrated.downgrade("-1")
    migrated.upgrade()
    migrated.use(make_models(engine, dim=2 * DIM))
    assert migrated.list_differences() == ""
    assert count_vectors(engine) == 2


def test_triggers_of_another_application_stay(tmp_path: Path, engine: Engine) -> None:
    class Base(DeclarativeBase):
        pass

    class Invoice(Base):
        __tablename__ = "invoice"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]
        search = searchable("text", into="store:invoices")

    embedder = FunctionEmbedder(lambda given: embed_words(given), dim=DIM, name="words")
    with VectorORM(Base, embedder=embedder, stores={"invoices": "memory:"}) as other:
        Base.metadata.create_all(engine)
        migrated = Migrated(tmp_path, include_object=_include_known)
        assert "drop_capture('invoice" not in deploy(migrated, make_models(engine)).partition("def downgrade")[0]
        other.install(sessionmaker(engine))
        assert other.verify()[0].missing_triggers == ()


def _include_known(item: Any, name: str, type_: str, reflected: bool, compare_to: Any) -> bool:  # noqa: FBT001
    return not (type_ == "table" and reflected and compare_to is None)


def test_a_new_database_gets_the_history_of_a_changed_model(migrated: Migrated, engine: Engine) -> None:
    first = make_models(engine, index=HNSW())
    deploy(migrated, first)
    add_articles(engine, "green tea")
    first.vectors.sync_once()
    second = make_models(engine, index=HNSW(), dim=2 * DIM)
    deploy(migrated, second)
    migrated.downgrade("base")
    migrated.upgrade()
    assert migrated.list_differences() == ""
    add_articles(engine, "green tea", "a train")
    second.vectors.sync_once()
    assert (count_vectors(engine), count_noted(engine)) == (2, 0)
    assert "embedding_next" not in {each["name"] for each in inspect(engine).get_columns("article")}
    if is_postgresql(engine):
        assert find_index(engine) is not None
    with Session(engine) as session:
        [(row, _)] = second.vectors.search(session, second.vectors.declarations["Article.search"], "tea", k=1)
        assert row.title == "green tea"
    migrated.downgrade()  # the new model stays
    assert count_vectors(engine) == 2
    migrated.upgrade()
    assert migrated.list_differences() == ""


def test_a_downgrade_after_a_finished_change_leaves_the_new_model(migrated: Migrated, engine: Engine) -> None:
    first = make_models(engine)
    deploy(migrated, first)
    add_articles(engine, "green tea")
    first.vectors.sync_once()
    both = make_models(engine, former=first.vectors._stores.oldest, dim=2 * DIM)
    deploy(migrated, both)
    both.vectors.rebuild(both.vectors.declarations["Article.search"])
    with pytest.raises(StoreLocked, match="Switch first"):
        migrated.downgrade()
    both.vectors.drop_previous(both.vectors.declarations["Article.search"])
    migrated.downgrade()
    assert count_vectors(engine) == 1
    migrated.upgrade()
    migrated.downgrade("base")


def test_a_second_generation_of_one_model_is_refused(migrated: Migrated, engine: Engine) -> None:
    models = make_models(engine, noted=False)
    models.metadata.create_all(engine)
    columns = models.vectors.columns[0]
    with engine.begin() as connection:  # as a script of --sql leaves a new database
        standby = RowGeneration("embedding_next", columns.newest.embedder, DIM, "standby")
        columns.generations.add(connection, columns.target, standby)
        connection.exec_driver_sql(plan_column(engine.dialect, "article", None, standby.column, DIM))
    add_articles(engine, "green tea")
    assert models.vectors.sync_once() == 0
    with pytest.raises(EmbedderMismatch, match="Give VectorORM both"):
        models.vectors.rebuild(models.vectors.declarations["Article.search"])
    assert count_noted(engine) == 1
    reason = models.vectors.status()["Article.search"].reason
    assert reason is not None
    assert re.match(r"EmbedderMismatch: .* Give VectorORM both", reason)


def test_a_schema_that_needs_quotes(migrated: Migrated, engine: Engine) -> None:
    if not is_postgresql(engine):
        pytest.skip("a matter of PostgreSQL")
    schema = f"My {engine.url.database} Schema"

    class Base(DeclarativeBase):
        metadata = MetaData(schema=schema)

    class Note(Base):
        __tablename__ = "Note"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]
        search = searchable("text", into="store:notes")

    embedder = FunctionEmbedder(lambda given: embed_words(given), dim=DIM, name="words")
    with engine.begin() as connection:
        connection.execute(text(f'CREATE SCHEMA "{schema}"'))
    try:
        with VectorORM(Base, embedder=embedder, stores={"notes": "memory:"}) as vectors, engine.connect() as connection:
            Base.metadata.create_all(connection)
            assert read_captures(connection, [schema]) == list(vectors.captures)
    finally:
        with engine.begin() as connection:
            connection.execute(text(f'DROP SCHEMA "{schema}" CASCADE'))


def test_triggers_that_cannot_be_read_are_refused() -> None:
    class Connection:
        dialect = mysql.dialect()

    with pytest.raises(Unsupported, match=r"vectors\.create_triggers\(op\.get_bind\(\)\)"):
        read_captures(cast("Any", Connection()))
