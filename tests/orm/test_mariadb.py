"""An application on MariaDB: a server of Debian's package, which `make test-long` installs."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pymysql
import pytest
from sqlalchemy import (
    Engine,
    ForeignKey,
    String,
    Text,
    create_engine,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship, sessionmaker

import vecstore
from vecstore import Flat, Unsupported
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import Chunks, VectorColumn, VectorORM, searchable
from vecstore.orm.triggers import list_triggers

from .application import DIM, Texts, load

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the socket of a server of its own."""
    if shutil.which("mariadbd") is None:
        pytest.fail("These tests need MariaDB's server. On Debian: sudo apt-get install mariadb-server")
    folder = tmp_path_factory.mktemp("mariadb")
    made = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", f"--datadir={folder}/d"]
    subprocess.run([*made, "--skip-test-db", "--user=root"], check=True, capture_output=True)
    options = ["--skip-networking", f"--pid-file={folder}/pid", "--user=root", "--innodb-flush-log-at-trx-commit=0"]
    with (folder / "log").open("wb") as log:
        command = ["mariadbd", "--no-defaults", f"--datadir={folder}/d", f"--socket={folder}/s", *options]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        ends = time.monotonic() + 60
        ping = ["mariadb-admin", "--no-defaults", f"--socket={folder}/s", "--user=root", "ping"]
        while subprocess.run(ping, check=False, capture_output=True).returncode:
            assert server.poll() is None, (folder / "log").read_text("utf-8", "replace")[-2_000:]
            assert time.monotonic() < ends
            time.sleep(0.05)  # a server says in no other way that it is ready
        yield folder / "s"
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture(params=["mariadb", "mysql"])
def engine(request: pytest.FixtureRequest, socket: Path) -> Iterator[Engine]:
    name = f"app_{uuid.uuid4().hex[:12]}"
    with (
        closing(pymysql.connect(unix_socket=str(socket), user="root", autocommit=True)) as link,
        link.cursor() as cursor,
    ):
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        engine = create_engine(f"{request.param}+pymysql://root@/{name}", connect_args={"unix_socket": str(socket)})
        yield engine
        engine.dispose()
        cursor.execute(f"DROP DATABASE {name}")


class Application:
    """Notes in a store, some of whose text is in another table; pages with a key of two columns, in chunks."""

    def __init__(self, engine: Engine, database: vecstore.Database) -> None:
        class Base(DeclarativeBase):
            type_annotation_map = {str: String(100)}  # noqa: RUF012 - SQLAlchemy's name

        class Author(Base):
            __tablename__ = "author"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]

        class Note(Base):
            __tablename__ = "note"
            id: Mapped[int] = mapped_column(primary_key=True)
            body: Mapped[str | None] = mapped_column(Text)
            lang: Mapped[str] = mapped_column(default="en")
            views: Mapped[int] = mapped_column(default=0)
            author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
            author: Mapped[Author | None] = relationship()
            search = searchable(
                "body", "written_by", fields=("lang",), into="store:notes", index=Flat(), depends_on=("author.name",)
            )

        Note.written_by = column_property(
            select(Author.name).where(Author.id == Note.author_id).correlate_except(Author).scalar_subquery()
        )

        class Page(Base):
            __tablename__ = "page"
            book: Mapped[str] = mapped_column(primary_key=True)
            number: Mapped[int] = mapped_column(primary_key=True)
            body: Mapped[str]
            search = searchable("body", into="store:pages", index=Flat(), chunk=Chunks(20, 0))

        class Item(Base):
            __tablename__ = "item"
            id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
            body: Mapped[str]
            embedding: Mapped[np.ndarray | None] = VectorColumn()
            search = searchable("body", into="embedding")

        self.Base, self.Author, self.Note, self.Page, self.Item = Base, Author, Note, Page, Item
        self.engine, self.texts, self.database = engine, Texts(), database
        embedder = FunctionEmbedder(self.texts.embed, dim=DIM, name="words")
        self.vectors = VectorORM(Base, embedder=embedder, stores=dict.fromkeys(("notes", "pages"), database))
        Base.metadata.create_all(engine)
        self.sessions = self.vectors.install(sessionmaker(engine))

    def noted(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(connection.execute(text("SELECT `key` FROM vecstore_outbox ORDER BY id")).scalars())

    def check(self) -> None:
        self.vectors.sync_once()
        assert self.noted() == []
        with self.engine.connect() as connection:
            joined = "SELECT n.id, body, name FROM note n LEFT JOIN author a ON a.id = author_id"
            rows = connection.execute(text(joined)).all()
        expected = {str(key): "\n\n".join(part for part in parts if part) for key, *parts in rows if any(parts)}
        assert {record.id: record.text for record in self.database.open("notes").scan()} == expected
        assert all(check.ok for check in self.vectors.verify())


@pytest.fixture
def app(engine: Engine) -> Iterator[Application]:
    with vecstore.connect("memory:") as database:
        app = Application(engine, database)
        with app.vectors:
            with app.sessions.begin() as session:
                session.add_all(app.Note(body=f"note {n}", author=app.Author(name=f"author {n}")) for n in range(4))
            yield app


def test_every_way_of_changing_a_row(app: Application) -> None:
    app.check()
    with app.sessions.begin() as session:
        load(session, app.Note, 1).body = "changed"
        session.delete(load(session, app.Note, 2))
        with session.begin_nested() as inner:
            load(session, app.Note, 3).body = "never"
            session.flush()
            inner.rollback()
    app.check()
    with app.sessions.begin() as session:
        session.execute(insert(app.Note), [{"body": f"bulk {n}"} for n in range(5)])
        session.execute(update(app.Note).where(app.Note.id > 3).values(body=func.concat(app.Note.body, "!")))
        session.execute(delete(app.Note).where(app.Note.id == 4))
        session.bulk_save_objects([app.Note(body="saved")])
        session.merge(app.Note(id=3, body="merged"))
    app.check()
    with app.engine.begin() as connection:
        connection.execute(text("INSERT INTO note (id, body, lang, views) VALUES (1, 'x', 'en', 0) "
                                "ON DUPLICATE KEY UPDATE body = 'upserted'"))  # fmt: skip
        connection.execute(text("UPDATE note SET id = 99 WHERE id = 1"))
        connection.execute(text("UPDATE note SET body = NULL, author_id = NULL WHERE id = 3"))
    app.check()
    with app.sessions() as session:
        session.execute(update(app.Note).values(body="never"))
        session.rollback()
    assert app.noted() == []


def test_what_matters_is_noted(app: Application) -> None:
    app.check()
    for statement, keys in (
        ("UPDATE note SET views = 5", []),
        ("UPDATE note SET body = body", []),
        ("UPDATE note SET body = upper(body) WHERE id = 1", ["[1]"]),  # the collation finds both equal
        ("UPDATE author SET name = 'eve' WHERE id = 2", ["[2]"]),
        ("UPDATE note SET author_id = 1 WHERE id = 3", ["[3]"]),
    ):
        with app.engine.begin() as connection:
            connection.execute(text(statement))
        assert app.noted() == keys
        app.check()


def test_other_keys_and_chunks(app: Application) -> None:
    body = "The first part is here. The second part is there."
    with app.sessions.begin() as session:
        session.add_all([app.Page(book='"a\\#', number=1, body=body), app.Page(book="é🇨🇭", number=2, body="short")])
        session.add(app.Item(body="red apple"))
    app.check()
    with app.sessions() as session:
        [(page, hit), *_] = app.vectors.search(session, app.Page.search, "second part", k=1)
        assert (page.book, page.number, hit.id) == ('"a\\#', 1, '["\\"a\\\\#", 1]')
        with pytest.raises(Unsupported, match="distances between vectors"):
            app.vectors.search(session, app.Item.search, "apple")
        assert session.scalars(select(app.Item)).one().embedding is not None


def test_a_key_changes_that_the_collation_takes_for_the_same(app: Application) -> None:
    with app.sessions.begin() as session:
        session.add_all([app.Page(book="tea", number=1, body="short"), app.Page(book="rice", number=1, body="long")])
    app.check()
    with app.engine.begin() as connection:
        connection.execute(text("UPDATE page SET book = 'Tea' WHERE book = 'tea'"))
    app.check()
    assert {each.id for each in app.database.open("pages").scan()} == {'["Tea", 1]', '["rice", 1]'}
    with app.sessions() as session:
        [(page, hit)] = app.vectors.search(session, app.Page.search, "short", k=1)
        assert (page.book, hit.id) == ("Tea", '["Tea", 1]')


def test_a_stalled_worker_leaves_nothing_stale(app: Application) -> None:
    app.check()
    arrived, goes_on = threading.Event(), threading.Event()

    def wait(texts: Sequence[str]) -> None:
        if threading.current_thread() is thread:
            arrived.set()
            assert goes_on.wait(20)

    app.texts.hook = wait
    thread = threading.Thread(target=lambda: app.vectors._make_worker(10, 60.0).work())
    for body in ("old", "new"):
        with app.engine.begin() as connection:
            connection.execute(text("UPDATE note SET body = :body WHERE id = 1"), {"body": body})
        if body == "old":
            thread.start()
            assert arrived.wait(20)
    app.vectors.sync_once()
    goes_on.set()
    thread.join()
    app.check()


def test_workers_and_writers_at_once(app: Application) -> None:
    def change(number: int) -> None:
        for turn in range(20):
            with app.sessions.begin() as session:
                session.execute(update(app.Note).where(app.Note.id == number % 4 + 1).values(body=f"{number} {turn}"))

    threads = [threading.Thread(target=change, args=(number,)) for number in range(6)]
    with app.vectors.run_worker(batch_size=5), app.vectors.run_worker(batch_size=5):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        app.vectors.wait(timeout=60)
    app.check()


def test_what_no_trigger_sees_is_found(app: Application) -> None:
    app.check()
    with app.engine.begin() as connection:
        for name in list_triggers(connection, app.Base.metadata.tables["note"]):
            connection.execute(text(f"DROP TRIGGER `{name}`"))
        connection.execute(text("UPDATE note SET body = 'unseen' WHERE id = 1"))
    [check, *_] = app.vectors.verify(app.Note.search, fix=True)
    assert (len(check.missing_triggers), check.differences) == (3, 1)
    app.check()
