"""Nothing is lost and nothing is stale, whatever happens to writers and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.orm.soak import Place, run_soak
from tests.orm.stores import make_url
from tests.redis.conftest import redis_server as redis_server

ROUNDS = 25
FEW_ROUNDS = 10
"""Of the runs of `make test`; those of `make test-long` take all."""
SINKS = ["file", "row", "postgres", "redis", "chunks in file", "chunks in postgres", "chunks in redis"]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Iterator[Callable[[str], Place]]:
    def make_store(sink: str) -> str | None:
        kind = sink.removeprefix("chunks in ")
        return None if kind == "row" else make_url(kind, request, tmp_path, namespace)

    if request.param == "sqlite":
        yield lambda sink: Place(
            f"sqlite:///{tmp_path / 'app.db'}?timeout=30", None, make_store(sink), sink.startswith("chunks")
        )
        return
    url = request.getfixturevalue("postgres_url")
    with psycopg.connect(url, autocommit=True) as link:
        link.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(namespace)))
        server = urlsplit(url)._replace(scheme="postgresql+psycopg").geturl()
        yield lambda sink: Place(server, namespace, make_store(sink), sink.startswith("chunks"))
        link.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(namespace)))


@pytest.mark.parametrize(
    "place, sink", [("sqlite", "file"), ("postgresql", "row"), ("postgresql", "chunks in redis")], indirect=["place"]
)
def test_soak(place: Callable[[str], Place], sink: str, seed: int, note: Callable[[str], None]) -> None:
    counts = run_soak(place(sink), seed, FEW_ROUNDS)
    note(f"soak into {sink}: {counts['killed']} workers killed, {counts['stopped']} stopped")


@pytest.mark.long
@pytest.mark.parametrize("run", range(5))
@pytest.mark.parametrize("sink", SINKS)
def test_many_soaks(place: Callable[[str], Place], sink: str, run: int, seed: int, note: Callable[[str], None]) -> None:
    counts = run_soak(place(sink), seed + run, ROUNDS * 8)
    note(f"soak into {sink}: {counts['killed']} workers killed, {counts['stopped']} stopped")
