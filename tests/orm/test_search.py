"""Searches: rows with their hits, never one that is gone or hidden, and k of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import and_, delete, not_, or_, text, update

from vecstore import F, Filter, InvalidArgument
from vecstore.filters.dict_form import to_dict
from vecstore.orm.conditions import make_filter
from vecstore.orm.row_search import FEW_ROWS, SPARE

from .application import Application, embed_words


def test_rows_with_their_hits(app: Application) -> None:
    app.add(1, title="red apple", body=None)
    app.add(1, title="green pear", body=None)
    app.vectors.sync_once()
    with app.sessions() as session:
        [(article, hit), *rest] = app.vectors.search(session, app.Article.search, "a red apple", k=5)
        assert article is session.get(app.Article, 1)
        assert (hit.id, hit.text) == ("1", "red apple")
        assert hit.score > rest[0][1].score
    assert app.titles(embed_words(["pear"])[0], 1) == ["green pear"]
    assert app.titles("apple", 0) == []


def test_a_store_without_records(app: Application) -> None:
    assert app.titles("anything") == []


def test_a_row_that_is_gone_is_no_hit(app: Application) -> None:
    app.add(SPARE * 3)
    app.vectors.sync_once()
    with app.sessions.begin() as session:
        session.execute(delete(app.Article).where(app.Article.id <= SPARE * 3 - 4))
    assert len(app.titles("title", 4)) == 4
    assert len(app.titles("title", 10)) == 4


@pytest.mark.parametrize("count", [3, 40])
def test_hidden_rows_are_made_up_for(app: Application, count: int) -> None:
    app.add(300, title="apple", views=1)
    app.add(count, title="pear", views=2, lang="de")
    app.vectors.sync_once()
    for where in (app.Article.views == 2, app.Article.lang == "de", app.Article.lang != "en"):
        assert app.titles("apple", 20, where=where) == ["pear"] * min(count, 20)
    assert app.titles("apple", 20, where=app.Article.views == 3) == []


def test_hidden_rows_are_made_up_for_where_many_match(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.orm.row_search.FEW_ROWS", 5)
    monkeypatch.setattr("vecstore.orm.row_search.MAX_K", 64)
    app.add(300, title="apple", views=1)
    app.add(70, title="pear", views=2)
    app.vectors.sync_once()
    assert app.titles("apple", 30, where=app.Article.views == 2) == ["pear"] * 30
    assert FEW_ROWS > 5


def test_the_database_has_the_last_word_about_fields(app: Application) -> None:
    app.add(5, lang="en")
    app.vectors.sync_once()
    with app.sessions.begin() as session:
        session.execute(update(app.Article).where(app.Article.id == 2).values(lang="de"))
    assert app.titles("title", where=app.Article.lang == "de") == ["title 1"]
    assert len(app.titles("title", where=app.Article.lang == "en")) == 4


def test_what_the_session_has_not_committed_counts(app: Application) -> None:
    app.add(3)
    app.vectors.sync_once()
    with app.sessions() as session:
        session.delete(session.get(app.Article, 1))
        assert len(app.vectors.search(session, app.Article.search, "title")) == 2


def test_a_record_of_somebody_else_is_no_hit(app: Application) -> None:
    app.add(1)
    app.vectors.sync_once()
    app.store().upsert([{"id": "no number", "vector": embed_words(["title"])[0]}])
    assert app.titles("title") == ["title 0"]


def test_wrong_arguments(app: Application) -> None:
    with app.sessions() as session:
        search: Any = app.vectors.search
        for arguments, message in (
            ((app.engine, app.Article.search, "a"), "takes a Session, not Engine"),
            ((session, app.Article, "a"), "must be a declaration such as"),
            ((session, app.Article.search, "a", -1), "k must be"),
            ((session, app.Article.search, "a", 10_001), "k must be"),
        ):
            with pytest.raises(InvalidArgument, match=message):
                search(*arguments)
        with pytest.raises(InvalidArgument, match="where must be a condition on columns such as Article"):
            search(session, app.Article.search, "a", where=F.lang == "en")


def test_conditions_that_a_store_knows(app: Application) -> None:
    article = app.Article
    fields = next(model.fields for model in app.vectors._models if model.entity is article)
    same: list[tuple[Any, Filter | None]] = [
        (article.lang == "en", F.lang == "en"),
        (article.lang.in_(["en", "de"]), F.lang.in_(["en", "de"])),
        (article.year >= 2020, F.year >= 2020),
        (and_(article.lang == "en", article.views > 3), F.lang == "en"),
        (or_(article.lang == "en", article.year < 3), (F.lang == "en") | (F.year < 3)),
        (
            (article.lang == "en") & ((article.year == 1) | (article.year == 2)),
            (F.lang == "en") & ((F.year == 1) | (F.year == 2)),
        ),
    ]
    for condition, filter_ in same:
        made = make_filter(condition, fields)
        assert made is not None
        assert filter_ is not None
        assert to_dict(made) == to_dict(filter_)


def test_conditions_that_only_the_database_knows(app: Application) -> None:
    article = app.Article
    fields = next(model.fields for model in app.vectors._models if model.entity is article)
    conditions: list[Any] = [
        None,
        article.views > 3,
        or_(article.lang == "en", article.views > 3),
        not_(and_(article.lang == "en", article.year == 1)),
        article.lang > "en",
        article.lang.like("e%"),
        article.year == article.views,
        article.year.is_(None),
        article.year == 2**60,
        article.lang == "x" * 2_000,
        article.year.in_([dt.date(2020, 1, 1)]),
        text("lang = 'en'"),
    ]
    for condition in conditions:
        assert make_filter(condition, fields) is None
