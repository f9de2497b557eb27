"""Measure a store that a Milvus server follows: ``python -m benchmarks.followers``.

Searches stand beside the same by hand: pymilvus at consistency Strong with the same effort, then the rows by psycopg.
Both servers are started for it. Other figures: how fast a feeder brings what waits, and how long a write has waited
when Milvus has it, at a given rate.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

import vecstore
from servers.milvus.own_server import OwnServer
from vecstore import HNSW, Columns, Database, Schema, VectorStore

from . import postgres_server
from .partitions import draw_rows

K = 10
STORE = "followed"
BATCH = 5_000
BARS = {"search": 1.2, "rate": 3_000.0, "lag": 1.0}


@contextmanager
def open_servers() -> Iterator[tuple[str, str]]:
    """Give the URLs of a PostgreSQL server with a catalogue, and of a Milvus server."""
    with (
        tempfile.TemporaryDirectory(prefix="followers-") as made,
        postgres_server.run_server(Path(made) / "pg") as postgres,
        OwnServer(Path(made) / "milvus") as milvus,
    ):
        vecstore.connect(postgres, migrate=True).close()
        yield postgres, milvus.url


def add_milvus(postgres: str, milvus: str) -> str:
    """Return the URL of both."""
    return f"{postgres}{'&' if '?' in postgres else '?'}vectors={quote(milvus, safe='')}"


def fill(database: Database, vectors: NDArray[np.float32]) -> VectorStore:
    """Make the store and its collection."""
    store = database.create(STORE, Schema(vectors.shape[1], index=HNSW(ef_construction=100)))
    with store.loading():
        for start in range(0, len(vectors), BATCH):
            store.insert(make_columns(vectors[start : start + BATCH], start))
    return store


def make_columns(vectors: NDArray[np.float32], start: int) -> Columns:
    """Return records of vectors, numbered from ``start`` on."""
    ids = [f"r{start + number:07}" for number in range(len(vectors))]
    return Columns(ids=ids, vectors=vectors, texts=[f"text of {id_}" for id_ in ids])


class ByHand:
    """A search as one writes it without vecstore.

    Parameters
    ----------
    postgres, milvus : str
    effort : int
    """

    def __init__(self, postgres: str, milvus: str, effort: int) -> None:
        from pymilvus import MilvusClient

        self._link = psycopg.connect(postgres, autocommit=True)
        [(generation, collection)] = self._link.execute("SELECT generation, collection FROM vecstore.vecstore_follower")
        self._rows = sql.SQL("SELECT id, body, extra FROM {} WHERE id = ANY (%s)").format(
            sql.Identifier("vecstore", f"vecstore_g_{generation}")
        )
        self._collection = collection
        self._client: Any = MilvusClient(milvus.replace("milvus:", "http:"))
        self._settings = {"params": {"ef": effort}}

    def search(self, query: NDArray[np.float32]) -> list[str]:
        """Return the ids of the nearest records, whose rows are read."""
        [hits] = self._client.search(
            self._collection, data=[query.tolist()], limit=K, search_params=self._settings, consistency_level="Strong"
        )
        ids = [hit["id"] for hit in hits]
        rows = {row[0]: row for row in self._link.execute(self._rows, [ids])}
        return [id_ for id_ in ids if id_ in rows]


def measure_searches(
    ways: Sequence[Callable[[NDArray[np.float32]], list[str]]], queries: NDArray[np.float32], truth: list[list[str]]
) -> list[tuple[float, float]]:
    """Return the median seconds and the recall of each way to search, asked in turns."""
    times, found = [list[float]() for _ in ways], [list[float]() for _ in ways]
    for query, true in zip(queries, truth, strict=True):
        for search, taken, recalls in zip(ways, times, found, strict=True):
            began = time.perf_counter()
            ids = search(query)
            taken.append(time.perf_counter() - began)
            recalls.append(len({*ids} & {*true}) / K)
    return [(float(np.median(taken)), float(np.mean(recalls))) for taken, recalls in zip(times, found, strict=True)]


def measure_rate(postgres: str, url: str, vectors: NDArray[np.float32]) -> float:
    """Write without feeding, and return how many records a second a feeder brings then."""
    with vecstore.connect(postgres) as plain:
        store = plain.open(STORE)
        for start in range(0, len(vectors), BATCH):
            store.upsert(make_columns(vectors[start : start + BATCH], start))
    with vecstore.connect(url) as database:
        following, began = database.follow([STORE]), time.perf_counter()
        following.drain(threading.Event())
        return len(vectors) / (time.perf_counter() - began)


def measure_lag(postgres: str, url: str, vectors: NDArray[np.float32], rate: int, seconds: float) -> float:
    """Write at a rate beside a feeder, and return the longest that a record has waited when the feeder looked."""
    stop, lags = threading.Event(), list[float]()
    with vecstore.connect(url) as database, vecstore.connect(postgres) as plain:
        following, store = database.follow([STORE]), plain.open(STORE)
        feeder = threading.Thread(target=following.run, args=(stop, lambda found: lags.append(found[0].lag)))
        feeder.start()
        began, written, each = time.perf_counter(), 0, 50
        while time.perf_counter() - began < seconds:
            start = written % (len(vectors) - each)
            store.upsert(make_columns(vectors[start : start + each], start))
            written += each
            stop.wait(max(0.0, began + written / rate - time.perf_counter()))
        stop.set()
        feeder.join()
    return max(lags)


def measure(rows: int, vectors: Path | None) -> bool:
    """Print the figures, and return whether the bars are met."""
    stored, queries = draw_rows(rows, vectors)
    with open_servers() as (postgres, milvus):
        url = add_milvus(postgres, milvus)
        with vecstore.connect(url) as database:
            began = time.perf_counter()
            store = fill(database, stored)
            print(f"{rows:,} records written, copied, indexed and calibrated in {time.perf_counter() - began:.1f} s")
            print(store.index_status())
            truth = [[hit.id for hit in store.search(query, K, exact=True)] for query in queries]
            effort = store.index_status().ef or 64
            by_hand = ByHand(postgres, milvus, effort)
            ways = (lambda query: [hit.id for hit in store.search(query, K)]), by_hand.search
            (mine, recall), (theirs, other) = measure_searches(ways, queries, truth)
        rate = measure_rate(postgres, url, stored[: min(rows, 20_000)])
        lag = measure_lag(postgres, url, stored, 500, 20.0)
    print(f"search {mine * 1e3:.2f} ms, recall {recall:.4f}; by hand {theirs * 1e3:.2f} ms, recall {other:.4f}")
    print(f"search / by hand {mine / theirs:.2f} ×, bar {BARS['search']} ×")
    print(f"a feeder brings {rate:,.0f} records/s, bar {BARS['rate']:,.0f}; lag {lag:.2f} s, bar {BARS['lag']} s")
    met = mine <= BARS["search"] * theirs and recall >= other and rate >= BARS["rate"] and lag <= BARS["lag"]
    print("met" if met else "MISSED")
    return met


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.followers", description=__doc__)
    parser.add_argument("--rows", type=int, default=62_666)
    parser.add_argument("--vectors", type=Path, help="a file of vectors; without it they are drawn")
    options = parser.parse_args(arguments)
    return 0 if measure(options.rows, options.vectors) else 1


if __name__ == "__main__":
    sys.exit(main())
