"""What an operator does: backfill, verify, mend, watch, and the commands."""

# Longer than 300 lines because the commands and the calls behind them are tested on the same application.

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import CreateTable

import vecstore
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from vecstore.orm.busy_database import repeat
from vecstore.orm.outbox import read_clock as outbox_clock

from .application import Application


def remove_triggers(app: Application) -> None:
    from vecstore.orm.triggers import list_triggers

    with app.engine.begin() as connection:
        for name in list_triggers(connection, app.Article.__table__):
            on = "" if app.engine.dialect.name == "sqlite" else " ON article"
            connection.execute(text(f'DROP TRIGGER "{name}"{on}'))


def forget(app: Application) -> None:
    with app.engine.begin() as connection:
        connection.execute(text("DELETE FROM vecstore_outbox"))


def test_rows_that_were_there_before(app: Application) -> None:
    app.add(7)
    forget(app)
    assert app.vectors.backfill(app.Article.search) == 7
    assert app.vectors.status()["Article.search"].pending == 7
    app.check()
    seen = len(app.texts.seen)
    assert app.vectors.backfill() == 7
    app.check()
    assert len(app.texts.seen) == seen


def test_backfill_of_other_keys_and_several_pages(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.orm.vector_orm._PAGE", 2)
    with app.sessions.begin() as session:
        session.add_all(app.Page(book=f'"{n}', number=m, content="a page") for n in range(3) for m in (1, 2))
        session.add_all(app.Item(about=f"item {n}") for n in range(5))
    forget(app)
    assert app.vectors.backfill() == 11
    app.vectors.sync_once()
    assert (len(app.stored("pages")), len(app.stored("items"))) == (6, 5)
    assert app.noted() == []


def test_verify_finds_nothing_where_nothing_is_wrong(app: Application) -> None:
    app.add(3)
    assert all(check.ok for check in app.vectors.verify())  # it waits in the outbox
    app.vectors.sync_once()
    [check, *_] = app.vectors.verify(app.Article.search)
    assert (check.ok, check.rows, check.label) == (True, 3, "Article.search")


def test_verify_finds_and_mends_what_no_trigger_saw(app: Application) -> None:
    app.add(6)
    app.check()
    with app.sessions.begin() as session:
        session.execute(text("DELETE FROM article WHERE id = 1"))
        session.execute(text("UPDATE article SET title = 'restored' WHERE id = 2"))
        session.execute(text("UPDATE article SET lang = 'de' WHERE id = 3"))
        session.execute(text("INSERT INTO article (id, title, lang) VALUES (9, 'restored', 'en')"))
    forget(app)
    [check] = app.vectors.verify(app.Article.search)
    assert (check.ok, check.differences, sorted(check.examples)) == (False, 4, ["1", "2", "3", "9"])
    assert app.noted() == []
    app.vectors.verify(app.Article.search, fix=True)
    assert len(app.noted()) == 4
    app.check()
    assert app.vectors.verify(app.Article.search)[0].ok


def test_verify_finds_and_mends_what_postgresql_hides_from_triggers(app: Application) -> None:
    if app.engine.dialect.name == "sqlite":
        pytest.skip("a matter of PostgreSQL")
    app.add(4)
    app.check()
    with app.engine.begin() as connection:
        connection.execute(text("TRUNCATE article"))
    assert app.noted() == []
    assert app.titles("title") == []
    mend(app, {"1", "2", "3", "4"})
    assert app.stored() == {}
    app.add(2)
    app.check()
    with app.engine.begin() as connection:  # as a restore and a subscription of logical replication write
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("INSERT INTO article (id, title, lang) VALUES (90, 'replicated', 'en')"))
        connection.execute(text("UPDATE article SET title = 'replicated' WHERE id = 5"))
        connection.execute(text("DELETE FROM article WHERE id = 6"))
    mend(app, {"5", "6", "90"})


def test_verify_finds_and_mends_what_sqlite_replaces_unseen(app: Application) -> None:
    if app.engine.dialect.name != "sqlite":
        pytest.skip("a matter of SQLite")
    app.add(2)
    app.check()
    with app.engine.begin() as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_title ON article (title)"))
        connection.execute(text("INSERT OR REPLACE INTO article (id, title, lang) VALUES (9, 'title 0', 'en')"))
    app.vectors.sync_once()
    assert app.titles("title", 5) == ["title 0", "title 1"]
    mend(app, {"1"})


def mend(app: Application, ids: set[str]) -> None:
    """Verify finds these rows and mends them, and finds nothing after that."""
    [check] = app.vectors.verify(app.Article.search, fix=True)
    assert (check.ok, check.differences, set(check.examples)) == (False, len(ids), ids)
    app.check()
    assert app.vectors.verify(app.Article.search)[0].ok


def test_verify_makes_missing_triggers(app: Application) -> None:
    remove_triggers(app)
    [check] = app.vectors.verify(app.Article.search, fix=True)
    assert len(check.missing_triggers) == 3
    assert app.vectors.verify(app.Article.search)[0].ok
    app.add(1)
    app.check()


def test_triggers_of_an_earlier_declaration_are_replaced(app: Application) -> None:
    remove_triggers(app)
    with app.engine.begin() as connection:
        from vecstore.orm.trigger_statements import make_stem

        stem = make_stem(app.vectors.captures[0])
        if app.engine.dialect.name == "sqlite":
            connection.execute(text(f'CREATE TRIGGER "{stem}old_delete" AFTER DELETE ON article BEGIN SELECT 1; END'))
        else:
            function = connection.execute(text("SELECT proname FROM pg_proc WHERE proname LIKE 'vecstore_article%'"))
            connection.execute(
                text(
                    f'CREATE TRIGGER "{stem}old_delete" AFTER DELETE ON article REFERENCING OLD TABLE AS vecstore_old '
                    f'FOR EACH STATEMENT EXECUTE FUNCTION "{function.scalars().first()}"()'
                )
            )
    app.Base.metadata.create_all(app.engine)
    app.add(2)
    with app.sessions.begin() as session:
        session.execute(text("DELETE FROM article WHERE id = 1"))
    assert len(app.noted()) == 3
    app.check()


def test_tables_that_a_migration_made(app: Application) -> None:
    tables = [table for table in app.Base.metadata.sorted_tables if not table.name.startswith("vecstore_")]
    app.Base.metadata.drop_all(app.engine)
    app.Base.metadata.create_all(app.engine, tables=tables)  # no outbox yet, so no triggers that would fail
    app.add(1)
    app.Base.metadata.drop_all(app.engine, tables=tables)
    with app.engine.begin() as connection:
        for table in app.Base.metadata.sorted_tables:
            connection.execute(CreateTable(table))
        app.vectors.create_triggers(connection)
    app.add(1)
    app.check()


def test_without_the_outbox_every_call_says_what_to_do(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    app.add(2)
    calls: list[Any] = [
        app.vectors.sync_once,
        app.vectors.status,
        app.vectors.retry,
        app.vectors.backfill,
        app.vectors.verify,
    ]
    with app.engine.begin() as connection:
        connection.execute(text("DROP TABLE vecstore_outbox"))
    for call in [*calls, lambda: app.vectors.wait(timeout=5)]:
        with pytest.raises(vecstore.errors.MigrationRequired, match=r"has no table vecstore_outbox.* create_all"):
            call()
    with app.vectors.run_worker() as worker:
        while not caplog.records:
            assert worker.is_alive
    assert "MigrationRequired: The application's database has no table vecstore_outbox" in caplog.text
    app.Base.metadata.create_all(app.engine)
    assert app.vectors.backfill() == 2
    app.check()


def test_a_mistaken_attribute(app: Application) -> None:
    mistakes: list[tuple[Any, str]] = [("Article.search", "str"), (app.Article, "the class Article")]
    for given, name in mistakes:
        for call in (app.vectors.backfill, app.vectors.verify):
            with pytest.raises(vecstore.InvalidArgument, match=rf"such as Article\.search, not {name}\."):
                call(given)


def set_sequence(app: Application, last: int) -> None:
    """Let the next fence be the one after a number, as a restored or new database has it."""
    with app.engine.begin() as connection:
        if app.engine.dialect.name == "sqlite":
            connection.execute(text("DELETE FROM vecstore_fence"))
            connection.execute(
                text("UPDATE sqlite_sequence SET seq = :last WHERE name = 'vecstore_fence'"), {"last": last}
            )
        else:
            connection.execute(text("SELECT setval('vecstore_fence_id_seq', :next, false)"), {"next": last + 1})


def read_clock(app: Application) -> int:
    """Return the clock of the database, in milliseconds."""
    with app.engine.connect() as connection:
        return int(connection.execute(select(outbox_clock(connection))).scalar_one() * 1_000)


@pytest.mark.parametrize("age", [None, 3_600_000], ids=["made again", "of a backup"])
def test_a_sequence_that_begins_again_is_lifted(app: Application, age: int | None) -> None:
    now = read_clock(app)
    app.add(3)
    app.check()
    with app.sessions.begin() as session:
        session.execute(text("DELETE FROM article WHERE id = 3"))
    app.check()
    last = 0 if age is None else now - age
    set_sequence(app, last)
    with app.sessions.begin() as session:
        session.execute(update(app.Article).values(title="written with a fence of the new sequence"))
        session.execute(text("INSERT INTO article (id, title, lang) VALUES (3, 'it has a tombstone', 'en')"))
    app.check()
    assert app.vectors.verify(app.Article.search)[0].ok
    assert app.vectors._outbox.draw_fence(app.engine) >= now


def test_a_sequence_is_never_lifted_back(app: Application) -> None:
    drawn = app.vectors._outbox.draw_fence(app.engine)
    for least in (drawn + 50, drawn - 50, drawn):
        app.vectors._outbox.lift_fence(app.engine, least)
        assert app.vectors._outbox.draw_fence(app.engine) > drawn + 50


def test_a_sequence_is_lifted_by_many_at_once(app: Application) -> None:
    set_sequence(app, 0)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: draw_some(app), range(4)))
    assert len({number for each in drawn for number in each}) == 40
    assert drawn == [sorted(each) for each in drawn]


def draw_some(app: Application) -> list[int]:
    return [repeat(lambda: app.vectors._outbox.draw_fence(app.engine)) for _ in range(10)]


def test_a_role_that_may_only_draw_fences(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    if app.engine.dialect.name == "sqlite":
        pytest.skip("a matter of PostgreSQL")
    role = f"role_{os.urandom(4).hex()}"
    set_sequence(app, 0)
    with app.engine.begin() as connection:
        schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
        connection.execute(text(f"CREATE ROLE {role}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {role}"))
        connection.execute(text(f"GRANT USAGE ON SEQUENCE vecstore_fence_id_seq TO {role}"))
    limited = create_engine(app.engine.url, connect_args={"options": f"-csearch_path={schema} -crole={role}"})
    try:
        assert [app.vectors._outbox.draw_fence(limited) for _ in range(2)] == [2, 4]  # each looks twice
        assert sum("this role may not set it" in each.getMessage() for each in caplog.records) == 1
        with pytest.raises(ProgrammingError):
            app.vectors._outbox.lift_fence(limited, 10)
    finally:
        limited.dispose()
        with app.engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def test_a_store_that_is_ahead_of_the_clock(app: Application) -> None:
    app.add(2)
    app.check()
    raise_versions(app)
    with app.sessions.begin() as session:
        session.execute(update(app.Article).values(title="lost"))
    app.vectors.sync_once()
    assert app.stored() != app.expected()
    [check] = app.vectors.verify(app.Article.search, fix=True)
    assert check.fence_behind
    app.check()
    assert app.vectors.verify(app.Article.search)[0].ok


def raise_versions(app: Application) -> None:
    """Give the records of articles a version that no clock has reached."""
    from vecstore.fenced import upsert_fenced
    from vecstore.records import Record

    store = app.vectors._stores.open(app.vectors._models[0])
    records = [Record(id_, text=text, metadata=more) for id_, (text, more) in app.stored().items()]
    assert upsert_fenced(store, records, 2**52) == len(records)


def test_somebody_elses_record(app: Application) -> None:
    app.add(1)
    app.check()
    app.store().upsert([{"id": "007", "vector": [1.0] * 64}])
    [check] = app.vectors.verify(app.Article.search, fix=True)
    assert (check.ok, check.strangers) == (False, ("007",))
    assert len(app.stored()) == 2


def test_status(app: Application) -> None:
    assert {name: each.pending for name, each in app.vectors.status().items()} == dict.fromkeys(
        ["Article.search", "Item.search", "Page.search", "Tag.search"], 0
    )
    app.add(2)
    with app.engine.begin() as connection:
        connection.execute(text("UPDATE vecstore_outbox SET entered = entered - 100 WHERE key = '[1]'"))
        connection.execute(text("UPDATE vecstore_outbox SET dead = TRUE, reason = 'why' WHERE key = '[2]'"))
    found = app.vectors.status()["Article.search"]
    assert (found.pending, found.dead, found.reason) == (1, 1, "why")
    assert 99 < found.lag < 200


MODULE = """
import numpy as np
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorORM, searchable


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]
    search = searchable("body", into="store:notes")


def embed(texts):
    if any("bad" in text for text in texts):
        raise ValueError("bad")
    return np.ones((len(texts), 4))


vectors = VectorORM(Base, embedder=FunctionEmbedder(embed, dim=4, name="ones"), stores={"notes": "file:./kb"})
engine = create_engine("sqlite:///app.db")
Session = vectors.install(sessionmaker(engine))
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An application in a module of its own, with two rows."""
    name = f"application_{os.urandom(4).hex()}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module: Any = __import__(name)
    module.Base.metadata.create_all(module.engine)
    add_notes(module, "one", "two")
    yield module
    module.engine.dispose()


def add_notes(module: Any, *texts: str) -> None:
    with module.Session.begin() as session:
        session.add_all(module.Note(body=text) for text in texts)


def test_the_commands(notes: Any, run: Run) -> None:
    place = f"{notes.__name__}:vectors"
    assert run("sync", "status", place, "--json").json["declarations"]["Note.search"]["pending"] == 2
    assert run("sync", "status", place, "--max-pending", 1).code == 1
    assert run("sync", "status", place, "--max-pending", 2, "--max-lag", 60).code == 0
    answer = run("sync", "once", place, "--json")
    assert (answer.code, answer.json["changes"], answer.json["left"]) == (0, 2, 0)
    assert answer.json["rate"] > 0
    add_notes(notes, "bad", "three")
    answer = run("sync", "once", place)
    assert (answer.code, answer.out) == (1, "1 changes worked off, 1 left.\n")
    with notes.engine.begin() as connection:
        connection.execute(text("UPDATE vecstore_outbox SET dead = TRUE"))
    assert run("sync", "status", place).code == 1
    assert run("sync", "retry", place, "--json").json == {"revived": 1}
    with notes.engine.begin() as connection:
        connection.execute(text("DELETE FROM vecstore_outbox"))
    answer = run("sync", "verify", place, "--json")
    assert (answer.code, answer.json["ok"], answer.json["declarations"][0]["differences"]) == (1, False, 1)
    answer = run("sync", "verify", place, "Note.search", "--fix")
    assert answer.code == 0
    assert "1 DIFFER, noted for the workers" in answer.out
    assert run("sync", "backfill", place, "Note.search", "--json").json == {"rows": 4}


def test_mistakes_on_the_command_line(notes: Any, run: Run, tmp_path: Path) -> None:
    (tmp_path / f"{notes.__name__}_broken.py").write_text("1 / 0")
    for place, message in (
        (f"{notes.__name__}_broken:vectors", "raised ZeroDivisionError while it was imported"),
        ("nonsense", "is not MODULE:VECTORS"),
        ("no_such_module:vectors", "cannot be imported"),
        (f"{notes.__name__}:vector", "has no 'vector'. Did you mean 'vectors'?"),
        (f"{notes.__name__}:engine", "is no VectorORM but Engine"),
    ):
        answer = run("sync", "status", place)
        assert answer.code == 2
        assert message in answer.err
    answer = run("sync", "backfill", f"{notes.__name__}:vectors", "Note.find")
    assert answer.code == 2
    assert "Known: Note.search" in answer.err
    notes.Base.metadata.drop_all(notes.engine)
    answer = run("sync", "status", f"{notes.__name__}:vectors", "--json")
    assert (answer.code, answer.error["type"]) == (3, "MigrationRequired")
    assert "create_all() makes it" in answer.error["message"]


@pytest.mark.parametrize("stopped", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_worker_process_ends_on_sigterm(notes: Any, tmp_path: Path, *, stopped: bool) -> None:
    workers = 8 if stopped else 1  # threads that may take a signal from the main one
    command = [sys.executable, "-W", "error", "-m", "vecstore", "sync", "run", f"{notes.__name__}:vectors", "--json"]
    command += ["--workers", str(workers)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"workers": workers}
        notes.vectors.wait(timeout=60)
        for each in (signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT) if stopped else (signal.SIGTERM,):
            process.send_signal(each)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    with vecstore.connect("file:./kb") as database:
        assert database.open("notes").count() == 2
    assert time.monotonic()
