"""Whatever changes a row, and however: the store is in step once the outbox is worked off."""

# Longer than 300 lines because each way of changing a row has its test here.

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from vecstore import InvalidArgument

from .application import Application, list_rows, load


def test_added_changed_and_deleted_rows(app: Application) -> None:
    app.add(3)
    app.check()
    with app.sessions.begin() as session:
        first, second, _ = list_rows(session, app.Article)
        first.title = "changed"
        session.delete(second)
    app.check()
    assert len(app.stored()) == 2


def test_a_column_that_does_not_matter_is_not_noted(app: Application) -> None:
    app.add(2)
    app.check()
    with app.sessions.begin() as session:
        session.execute(update(app.Article).values(views=5))
        session.execute(update(app.Article).values(lang="en"))
    assert app.noted() == []


@pytest.mark.parametrize("change", [{"lang": "de"}, {"year": 7}, {"body": None}, {"title": "TITLE 0"}])
def test_each_column_that_matters_is_noted(app: Application, change: dict[str, Any]) -> None:
    app.add(1)
    app.check()
    with app.sessions.begin() as session:
        session.execute(update(app.Article).values(**change))
    assert app.noted() == [("article.search", "[1]")]
    app.check()


def test_a_row_without_a_text_has_no_record(app: Application) -> None:
    app.add(2)
    app.check()
    with app.sessions.begin() as session:
        session.execute(update(app.Article).where(app.Article.id == 1).values(title=" ", body=None))
    app.check()
    assert list(app.stored()) == ["2"]


def test_nothing_of_a_rollback_is_noted(app: Application) -> None:
    with app.sessions() as session:
        session.add(app.Article(title="never", lang="en"))
        session.flush()
        session.rollback()
    assert app.noted() == []


def test_savepoints(app: Application) -> None:
    app.add(1)
    app.check()
    with app.sessions.begin() as session:
        article = load(session, app.Article, 1)
        with session.begin_nested():
            article.title = "kept"
        with session.begin_nested() as inner:
            article.title = "given up"
            session.add(app.Article(title="given up", lang="en"))
            session.flush()
            inner.rollback()
    app.check()
    assert app.stored()["1"][0] == "kept\n\nbody 0"


def test_nothing_is_written_before_the_outer_commit(app: Application) -> None:
    app.add(1)
    app.check()
    with app.sessions() as session:
        with session.begin_nested():
            load(session, app.Article, 1).title = "not yet"
        if app.engine.dialect.name != "sqlite":  # where the worker would wait for the writer
            app.vectors.sync_once()
            assert app.stored()["1"][0] == "title 0\n\nbody 0"
        session.rollback()
    app.check()


def test_bulk_statements(app: Application) -> None:
    with app.sessions.begin() as session:
        session.execute(insert(app.Article), [{"title": f"t{n}", "lang": "en", "year": n} for n in range(50)])
    app.check()
    with app.sessions.begin() as session:
        session.execute(update(app.Article).where(app.Article.year < 20).values(title="many"))
        session.execute(delete(app.Article).where(app.Article.year > 40))
    app.check()
    assert len(app.stored()) == 41


def test_insert_from_select(app: Application) -> None:
    app.add(5)
    copied = select(app.Article.title, app.Article.lang)
    with app.sessions.begin() as session:
        session.execute(insert(app.Article).from_select(["title", "lang"], copied))
    app.check()
    assert len(app.stored()) == 10


def test_legacy_bulk_methods(app: Application) -> None:
    with app.sessions.begin() as session:
        session.bulk_save_objects([app.Article(title=f"t{n}", lang="en") for n in range(5)])
        session.bulk_insert_mappings(app.Article, [{"title": "mapped", "lang": "de"}])
    app.check()
    with app.sessions.begin() as session:
        session.bulk_update_mappings(app.Article, [{"id": 1, "title": "changed"}])
    app.check()
    assert app.stored()["1"][0] == "changed"


def test_on_conflict(app: Application) -> None:
    app.add(2)
    app.check()
    make: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[app.engine.dialect.name]
    wanted = make(app.Article).values([{"id": n, "title": f"new {n}", "lang": "de"} for n in (1, 2, 3)])
    with app.sessions.begin() as session:
        session.execute(wanted.on_conflict_do_nothing())
    assert app.noted() == [("article.search", "[3]")]
    with app.sessions.begin() as session:
        session.execute(wanted.on_conflict_do_update(index_elements=["id"], set_={"title": wanted.excluded.title}))
    app.check()
    assert app.stored()["1"][0] == "new 1\n\nbody 0"


def test_merge(app: Application) -> None:
    app.add(1)
    with app.sessions.begin() as session:
        session.merge(app.Article(id=1, title="merged", lang="en"))
        session.merge(app.Article(id=2, title="new", lang="en"))
    app.check()
    assert set(app.stored()) == {"1", "2"}


def test_the_database_deletes_by_a_foreign_key(app: Application) -> None:
    with app.sessions.begin() as session:
        author = app.Author(name="a")
        session.add(author)
        session.flush()
        session.add_all(app.Article(title=f"t{n}", lang="en", author_id=author.id if n else None) for n in range(3))
    app.check()
    with app.engine.begin() as connection:
        connection.execute(text("DELETE FROM author"))
    app.check()
    assert len(app.stored()) == 1


def test_a_changed_key(app: Application) -> None:
    app.add(3)
    app.check()
    with app.sessions.begin() as session:
        session.execute(update(app.Article).where(app.Article.id > 1).values(id=app.Article.id + 100))
    app.check()
    assert set(app.stored()) == {"1", "102", "103"}


def test_raw_sql(app: Application) -> None:
    with app.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO article (id, title, lang) VALUES (7, 'raw', 'en')")
    app.check()
    with app.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE article SET title = 'raw again'")
    app.check()
    assert app.stored()["7"][0] == "raw again"


def test_several_changes_of_one_row_are_embedded_once(app: Application) -> None:
    for title in ("one", "two", "three"):
        with app.sessions.begin() as session:
            session.merge(app.Article(id=1, title=title, lang="en"))
    app.check()
    assert app.texts.seen.count("three") == 1
    assert "two" not in app.texts.seen


def test_a_text_that_did_not_change_is_not_embedded_again(app: Application) -> None:
    app.add(1)
    app.check()
    seen = list(app.texts.seen)
    with app.sessions.begin() as session:
        session.execute(update(app.Article).values(lang="de"))
    app.check()
    assert app.texts.seen == seen
    assert app.stored()["1"][1] == {"lang": "de"}


def test_keys_of_every_kind(app: Application) -> None:
    number = uuid.uuid4()
    with app.sessions.begin() as session:
        session.add_all(
            [
                app.Page(book='a "b", [c]', number=3, content="first"),
                app.Page(book="ü\\", number=3, content="second"),
                app.Tag(name='it\'s; "quoted" – 1', about="a tag"),
                app.Item(id=number, about="an item"),
            ]
        )
    app.vectors.sync_once()
    assert app.noted() == []
    assert sorted(str(text) for text, _ in app.stored("pages").values()) == ["first", "second"]
    assert list(app.stored("tags")) == ['it\'s; "quoted" – 1']
    assert list(app.stored("items")) == [str(number)]
    with app.sessions() as session:
        [(page, hit), _] = app.vectors.search(session, app.Page.search, "second")
        assert (page.book, page.number, hit.text) == ("ü\\", 3, "second")
        [(tag, _)] = app.vectors.search(session, app.Tag.search, "tag")
        assert tag.about == "a tag"
        [(item, hit)] = app.vectors.search(session, app.Item.search, "item")
        assert (item.id, hit.id) == (number, str(number))
    with app.sessions.begin() as session:
        session.execute(delete(app.Page).where(app.Page.book == "ü\\"))
        session.execute(delete(app.Item))
    app.vectors.sync_once()
    assert (len(app.stored("pages")), len(app.stored("items"))) == (1, 0)


async def test_an_asynchronous_session(app: Application) -> None:
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
    url = app.engine.url.set(drivername=drivers[app.engine.dialect.name])
    with app.engine.connect() as connection:
        path = (
            None
            if drivers[app.engine.dialect.name].startswith("sqlite")
            else connection.scalar(text("SHOW search_path"))
        )
    options = {} if path is None else {"options": f"-csearch_path={path.replace(' ', '')}"}
    engine = create_async_engine(url, connect_args=options)
    given = None if app.engine.dialect.name == "sqlite" else app.engine  # whose search path no URL has
    maker = app.vectors.install(async_sessionmaker(engine), engine=given)
    with app.vectors.run_worker():
        async with maker.begin() as session:
            session.add(app.Article(title="written by asyncio", lang="en"))
        app.vectors.wait(timeout=20)
        async with maker() as session:
            found = await session.run_sync(lambda sync: app.vectors.search(sync, app.Article.search, "asyncio"))
            assert [article.title for article, _ in found] == ["written by asyncio"]
            with pytest.raises(InvalidArgument, match="run_sync"):
                app.vectors.search(session, app.Article.search, "asyncio")  # type: ignore[arg-type]
    await engine.dispose()


def test_only_sessions_of_the_given_sessionmaker_are_watched(app: Application) -> None:
    with app.vectors.run_worker() as worker:
        app.vectors.wait(timeout=20)
        woken: list[bool] = []
        worker.wake = lambda: woken.append(True)  # type: ignore[method-assign]
        with Session(app.engine) as session, session.begin():
            session.execute(text("SELECT 1"))
        assert woken == []
        with app.sessions.begin() as session:
            session.execute(text("SELECT 1"))
        assert woken == [True]


def test_the_triggers_come_with_the_tables(app: Application) -> None:
    before = count_triggers(app)
    app.Base.metadata.create_all(app.engine)
    assert count_triggers(app) == before == 12
    app.Base.metadata.drop_all(app.engine)
    assert count_triggers(app) == 0
    if app.engine.dialect.name == "postgresql":
        with app.engine.connect() as connection:
            left = connection.execute(
                text("SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace")
            )
            assert left.scalar_one() == 0


def count_triggers(app: Application) -> int:
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
    if app.engine.dialect.name == "postgresql":
        query = (
            "SELECT count(*) FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid "
            "WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace"
        )
    with app.engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def test_an_application_may_set_another_search_path(app: Application) -> None:
    if app.engine.dialect.name != "postgresql":
        pytest.skip("a matter of PostgreSQL")
    with app.engine.begin() as connection:
        schema = connection.execute(select(func.current_schema())).scalar_one()
        connection.exec_driver_sql("SET LOCAL search_path = pg_catalog")
        connection.exec_driver_sql(f"INSERT INTO {schema}.article (id, title, lang) VALUES (1, 'far', 'en')")  # noqa: S608
    app.check()
    assert len(app.stored()) == 1


def test_partitions(app: Application) -> None:
    if app.engine.dialect.name != "postgresql":
        pytest.skip("a matter of PostgreSQL")
    partitioned = """
        DROP TABLE page;
        CREATE TABLE page (book text, number int, "the content" text NOT NULL, PRIMARY KEY (book, number))
            PARTITION BY RANGE (number);
        CREATE TABLE "low page" PARTITION OF page FOR VALUES FROM (0) TO (10);
        CREATE TABLE high_page PARTITION OF page FOR VALUES FROM (10) TO (20)
    """
    with app.engine.begin() as connection:
        for statement in partitioned.split(";"):
            connection.exec_driver_sql(statement)
    app.Base.metadata.create_all(app.engine)
    with app.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO page VALUES ('a', 1, 'one'), ('a', 11, 'two')")
        connection.exec_driver_sql("INSERT INTO high_page VALUES ('a', 12, 'three')")
    app.vectors.sync_once()
    assert sorted(str(text) for text, _ in app.stored("pages").values()) == ["one", "three", "two"]
    with app.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE page SET number = 13 WHERE number = 1")
        connection.exec_driver_sql("DELETE FROM high_page WHERE number = 12")
        connection.exec_driver_sql("CREATE TABLE more (LIKE page INCLUDING ALL)")
        connection.exec_driver_sql("INSERT INTO more VALUES ('b', 21, 'from before')")
        connection.exec_driver_sql("ALTER TABLE page ATTACH PARTITION more FOR VALUES FROM (20) TO (30)")
    app.vectors.sync_once()
    assert set(app.stored("pages")) == {'["a", 13]', '["a", 11]'}
    [check] = app.vectors.verify(app.Page.search)
    assert (len(check.missing_triggers), check.examples) == (3, ('["b", 21]',))
    app.vectors.verify(app.Page.search, fix=True)
    assert app.vectors.verify(app.Page.search)[0].ok
    with app.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO more VALUES ('b', 22, 'noted now')")
    app.vectors.sync_once()
    assert set(app.stored("pages")) == {'["a", 13]', '["a", 11]', '["b", 21]', '["b", 22]'}
