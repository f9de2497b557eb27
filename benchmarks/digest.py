"""Measure `VectorStore.digest` beside reading all columns by hand: ``python -m benchmarks.digest``.

Each store has the same records and no index. By hand is what a program does that only wants every column of every
record: on PostgreSQL a server-side cursor over the very table with binary values, on Redis SCAN and pipelines of
HGETALL. Both are timed in turns, after one round that warms the caches. Exports and their way back are beside, for
files. The bars: 60,000 records/s on files; elsewhere 0.7 times the speed by hand.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

import vecstore
from vecstore import Flat, Record, Schema, VectorStore, fields

from . import postgres_server, redis_server, sources
from .corpus import Corpus

NAME = "digest"
ROWS, TURNS, BATCH = 62_666, 3, 5_000
BARS = {"file": 60_000.0, "postgres": 0.7, "redis": 0.7}
SCHEMA_FIELDS = {"section": fields.Keyword(), "size": fields.Int()}


def read_table(url: str) -> Callable[[], int]:
    """Return a function that reads every column of the store's table with psycopg, and counts the records."""
    import psycopg
    from pgvector.psycopg import register_vector

    connection = psycopg.connect(url, autocommit=True)
    register_vector(connection)
    [(table,)] = connection.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE tablename ~ '^vecstore_g_[0-9a-f]{32}$'"
    ).fetchall()

    def read() -> int:
        count = 0
        with connection.transaction(), connection.cursor("by_hand", binary=True) as cursor:
            cursor.itersize = BATCH
            cursor.execute(f"SELECT * FROM {table} ORDER BY id".encode())  # noqa: S608 - a name that the server quoted
            for _ in cursor:
                count += 1
        return count

    return read


def read_hashes(url: str, prefix: str) -> Callable[[], int]:
    """Return a function that reads every attribute of every record with redis-py, and counts the records."""
    import redis

    client = redis.Redis.from_url(url)

    def read() -> int:
        count, keys = 0, list[bytes]()
        for key in client.scan_iter(f"{prefix}*", BATCH, _type="HASH"):
            keys.append(key)
            if len(keys) == BATCH:
                count += fetch(keys)
                keys.clear()
        return count + fetch(keys)

    def fetch(keys: Sequence[bytes]) -> int:
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hgetall(key)
            found = pipeline.execute()
        return sum(len(np.frombuffer(each[b"vector"], np.float32)) > 0 for each in found if b"vector" in each)

    return read


@contextmanager
def open_places(folder: Path, kinds: Sequence[str]) -> Iterator[dict[str, str]]:
    """Give for each kind of place its URL; the servers run while the context lasts."""
    servers = {"postgres": postgres_server.run_server, "redis": redis_server.run_server}
    with ExitStack() as stack:
        yield {
            kind: stack.enter_context(servers[kind](folder / kind)) if kind in servers else f"file:{folder}/kb"
            for kind in kinds
        }


def fill(url: str, corpus: Corpus) -> vecstore.Database:
    """Make a store of the corpus."""
    database = vecstore.connect(url, migrate=not url.startswith(("file", "redis", "unix")))
    if NAME in database.names():
        database.drop(NAME)
    store = database.create(NAME, Schema(corpus.dim, index=Flat(), fields=SCHEMA_FIELDS))
    rows = zip(corpus.ids, corpus.vectors, corpus.texts, corpus.metadata, strict=True)
    store.insert(Record(*row) for row in rows)
    return database


def time_in_turns(ways: dict[str, Callable[[], object]], count: int) -> dict[str, float]:
    """Return the records per second of each way, the median of some turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: count / statistics.median(each) for name, each in seconds.items()}


def measure(kind: str, url: str, corpus: Corpus, folder: Path) -> bool:
    """Print the figures of one kind of place, and say whether the bar is met."""
    with fill(url, corpus) as database:
        store = database.open(NAME)
        ways: dict[str, Callable[[], object]] = {"digest": store.digest}
        if kind == "postgres":
            ways["by hand"] = read_table(url)
        elif kind == "redis":
            ways["by hand"] = read_hashes(url, "vecstore:")
        else:
            ways |= make_exports(database, store, folder)
        rates = time_in_turns(ways, len(corpus))
        database.drop(NAME)
    shown = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items())
    found = rates["digest"] / rates["by hand"] if "by hand" in rates else rates["digest"]
    print(
        f"{kind}: {shown}; bar {BARS[kind]:,.1f}, measured {found:,.2f}: {'met' if found >= BARS[kind] else 'MISSED'}"
    )
    return found >= BARS[kind]


def make_exports(database: vecstore.Database, store: VectorStore, folder: Path) -> dict[str, Callable[[], object]]:
    """Return an export and its way back."""
    file = folder / "x.parquet"

    def come_back() -> None:
        if "copy" in database.names():
            database.drop("copy")
        database.create_from("copy", file)

    return {"export": lambda: store.export(file, overwrite=True), "create_from": come_back}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digest", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--only", choices=list(BARS), action="append")
    options = parser.parse_args(arguments)
    corpus = sources.generate_corpus(options.rows)
    with tempfile.TemporaryDirectory(prefix="digest-") as made:
        folder = Path(made)
        with open_places(folder, options.only or list(BARS)) as places:
            met = [measure(kind, url, corpus, folder) for kind, url in places.items()]
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
