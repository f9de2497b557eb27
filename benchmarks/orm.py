"""Measure `vecstore.orm` beside the same work without it: ``python -m benchmarks.orm``.

* Capture: one statement that changes 100,000 rows on PostgreSQL with and without triggers, in turns; ORM inserts too.
  What the rows of the outbox and its indexes cost alone is beside it.
* Worker: rows per second from the outbox into stores, with a static embedder.
* Freshness: from a commit to the record in the store, one row, idle worker, in turns by a session of this process,
  which wakes the worker, and by one that does not.
* Search: `VectorORM.search` in the row with a given vector beside the same SQL by hand through the ORM.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, create_engine, insert, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import vecstore
from vecstore import HNSW, Flat
from vecstore.embedders import WordLlamaEmbedder
from vecstore.orm import VectorColumn, VectorORM, searchable

from . import digest, sources
from .clock import time_call

ROWS, INSERTS, SYNCED, TURNS, CHANGES, SEARCHES = 100_000, 10_000, 20_000, 5, 40, 200
PAUSE = 0.13
"""Seconds between two changes, no multiple of the time between two looks at the outbox."""
PARTS = ("capture", "worker", "freshness", "search")


def make_application(into: str, index: Any = None) -> tuple[Any, Any, Any]:
    """Return a base with a model that is searched, and one with the same columns that is not."""

    class Base(DeclarativeBase):
        pass

    class Article(Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        body: Mapped[str]
        lang: Mapped[str]
        if into == "embedding":
            embedding: Mapped[np.ndarray | None] = VectorColumn(index=index)
        search = searchable(
            "title", "body", fields=() if into == "embedding" else ("lang",), into=into, index=index or Flat()
        )

    class Plain(Base):
        __tablename__ = "plain"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        body: Mapped[str]
        lang: Mapped[str]

    return Base, Article, Plain


@contextmanager
def open_application(url: str, into: str, stores: dict[str, str], index: Any = None) -> Iterator[Any]:
    """Give an application on empty tables."""
    base, article, plain = make_application(into, index)
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
    with VectorORM(base, embedder=WordLlamaEmbedder(), stores=stores) as vectors:
        base.metadata.drop_all(engine)
        base.metadata.create_all(engine)
        yield engine, vectors, vectors.install(sessionmaker(engine)), article, plain
        base.metadata.drop_all(engine)
    engine.dispose()


def measure_capture(url: str, rows: int) -> Iterator[str]:
    """Yield the ratios of statements with and without capture."""
    with open_application(url, "store:articles", {"articles": "memory:"}) as (engine, _, sessions, article, plain):
        with engine.begin() as connection:
            connection.execute(text("CREATE UNLOGGED TABLE source (id int, title text, body text, lang text)"))
            connection.execute(
                text(
                    "INSERT INTO source SELECT n, 'title ' || n, repeat('some words ', 20) || n, 'en' "
                    "FROM generate_series(1, :rows) n"
                ),
                {"rows": rows},
            )
        copy = "INSERT INTO {} SELECT * FROM source"
        change = "UPDATE {} SET title = title || '.'"
        remove = "DELETE FROM {}"
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(TURNS + 1):
            for table in ("plain", "article"):
                for statement in (copy, change, remove):
                    _run(engine, "TRUNCATE vecstore_outbox", "VACUUM plain, article", "CHECKPOINT")
                    seconds, _ = time_call(lambda: _run(engine, statement.format(table)))  # noqa: B023 - called at once
                    times.setdefault((statement.split()[0], table), []).append(seconds)
        for word in ("INSERT", "UPDATE", "DELETE"):
            bare, captured = (_take_median(times[word, table]) for table in ("plain", "article"))
            bar = " (bar ≤ 2.5)" if word == "INSERT" else ""
            yield f"{word} {rows:,} rows: {bare:.2f} s, with capture {captured:.2f} s = {captured / bare:.2f} ×{bar}"
        yield from _measure_outbox(engine, rows)
        _run(engine, "DROP TABLE source")
        inserts: dict[str, list[float]] = {"plain": [], "article": []}
        for _ in range(TURNS + 1):
            for name, model in (("plain", plain), ("article", article)):
                _run(engine, f"TRUNCATE {name}", "TRUNCATE vecstore_outbox")
                inserts[name].append(time_call(lambda: _insert(sessions, model))[0])  # noqa: B023 - called at once
        bare, captured = (_take_median(inserts[name]) for name in ("plain", "article"))
        ratio = f"{bare:.2f} s, with capture {captured:.2f} s = {captured / bare:.2f} × (bar ≤ 1.3)"
        yield f"{INSERTS:,} ORM inserts: {ratio}"


def _measure_outbox(engine: Engine, rows: int) -> Iterator[str]:
    """Yield what it takes to write as many rows into a table like the outbox, without and with its indexes."""
    columns = "target, key, entered"
    values = f"SELECT 'article.search', '[' || n || ']', 0.5 FROM generate_series(1, {rows}) n"  # noqa: S608 - a number
    found = {}
    for word, including in (("bare", "DEFAULTS INCLUDING IDENTITY"), ("with its indexes", "ALL")):
        seconds = []
        for _ in range(TURNS):
            _run(
                engine,
                "DROP TABLE IF EXISTS outbox_copy",
                f"CREATE TABLE outbox_copy (LIKE vecstore_outbox INCLUDING {including})",
            )
            seconds.append(time_call(lambda: _run(engine, f"INSERT INTO outbox_copy ({columns}) {values}"))[0])
        found[word] = statistics.median(seconds)
    _run(engine, "DROP TABLE outbox_copy")
    yield f"  {rows:,} rows of the outbox alone: " + ", ".join(f"{word} {each:.2f} s" for word, each in found.items())


def _insert(sessions: sessionmaker[Session], model: Any) -> None:
    with sessions.begin() as session:
        session.add_all(model(title=f"title {number}", body="some words " * 20, lang="en") for number in range(INSERTS))


def measure_worker(url: str, places: dict[str, str], rows: int) -> Iterator[str]:
    """Yield the rows per second of one worker into each place."""
    corpus = sources.generate_corpus(rows)
    for kind, place in places.items():
        for index, bar in ((Flat(), 2_000), (HNSW(), 1_500)):
            with vecstore.connect(place, migrate=kind == "postgres") as database:
                if "articles" in database.names():
                    database.drop("articles")
            with open_application(url, "store:articles", {"articles": place}, index) as opened:
                engine, vectors, _, article, _ = opened
                _fill(engine, article, ["a text that loads the model and makes the store"])
                vectors.sync_once()
                _fill(engine, article, corpus.texts)
                seconds, done = time_call(vectors.sync_once)
                yield f"worker into {kind}, {type(index).__name__}: {done / seconds:,.0f} rows/s (bar ≥ {bar:,})"


def _fill(engine: Engine, article: Any, texts: Sequence[str | None]) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(article.__table__),
            [{"title": f"title {place}", "body": each or "", "lang": "en"} for place, each in enumerate(texts)],
        )


def measure_freshness(url: str, places: dict[str, str]) -> Iterator[str]:
    """Yield the milliseconds from a commit to the record."""
    for kind, place in places.items():
        with vecstore.connect(place, migrate=kind == "postgres") as database:
            if "articles" in database.names():
                database.drop("articles")
        with open_application(url, "store:articles", {"articles": place}) as (engine, vectors, sessions, article, _):
            with sessions.begin() as session:
                session.add(article(title="first", body="a text", lang="en"))
            vectors.sync_once()
            with vectors.run_worker(), vecstore.connect(place) as database:
                store = database.open("articles")
                woken, polled = list[float](), list[float]()
                for number in range(CHANGES):
                    for times, maker in ((woken, sessions), (polled, sessionmaker(engine))):
                        time.sleep(PAUSE)
                        title = f"{'woken' if times is woken else 'polled'} {number}."
                        times.append(_time_change(maker, article, store, title))
            yield (
                f"commit → searchable on {kind}: {statistics.median(woken) * 1e3:.0f} ms by this process, "
                f"{statistics.median(polled) * 1e3:.0f} ms by another (bar ≤ 150 ms, median of {CHANGES})"
            )


def _time_change(maker: sessionmaker[Session], article: Any, store: vecstore.VectorStore, title: str) -> float:
    with maker.begin() as session:
        session.execute(update(article).values(title=title))
    began = time.perf_counter()
    while not any(record is not None and (record.text or "").startswith(title) for record in store.get(["1"])):
        time.sleep(0.002)
    return time.perf_counter() - began


def measure_search(url: str, rows: int) -> Iterator[str]:
    """Yield the time of a search in the row beside the same statement by hand."""
    corpus = sources.generate_corpus(rows)
    with open_application(url, "embedding", {}, HNSW()) as (engine, vectors, sessions, article, _):
        _fill(engine, article, corpus.texts)
        vectors.sync_once()
        _run(engine, "VACUUM ANALYZE article")
        queries = WordLlamaEmbedder().embed_queries([each or "word" for each in corpus.texts[:SEARCHES]])
        for k in (10, 40):
            ours, by_hand = list[float](), list[float]()
            for vector in [*queries, *queries]:
                for times, search in ((by_hand, _search_by_hand), (ours, vectors.search)):
                    with sessions() as session:
                        session.execute(text("SELECT 1"))  # a connection
                        times.append(time_call(lambda: len(search(session, article.search, vector, k)))[0])  # noqa: B023 - called at once
            one, other = (statistics.median(each[SEARCHES:]) for each in (ours, by_hand))
            ratio = f"{one * 1e3:.2f} ms, by hand {other * 1e3:.2f} ms = {one / other:.2f} × (bar ≤ 1.15)"
            yield f"search in the row, k={k}: {ratio}"


def _search_by_hand(session: Session, attribute: Any, vector: Any, k: int) -> Sequence[Any]:
    distance = attribute.entity.embedding.cosine_distance(vector)
    wanted = select(attribute.entity, distance).where(attribute.entity.embedding.is_not(None))
    return session.execute(wanted.order_by(distance).limit(k)).all()


def _run(engine: Engine, *statements: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))


def _take_median(seconds: Sequence[float]) -> float:
    return statistics.median(seconds[1:])  # the first turn warms the caches


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orm", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="changed by one statement")
    parser.add_argument("--synced", type=int, default=SYNCED, help="worked off by a worker")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="orm-") as made,
        digest.open_places(Path(made), list(digest.BARS)) as places,
    ):
        url = places["postgres"]
        parts: dict[str, Callable[[], Iterator[str]]] = {
            "capture": lambda: measure_capture(url, options.rows),
            "worker": lambda: measure_worker(url, places, options.synced),
            "freshness": lambda: measure_freshness(url, places),
            "search": lambda: measure_search(url, options.synced),
        }
        for part in options.only:
            for line in parts[part]():
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
