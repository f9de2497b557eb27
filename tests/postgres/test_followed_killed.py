"""kill -9 of the Milvus server and of the feeder at random, while a store is written and searched: no wrong answer."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

import vecstore
from servers.milvus.own_server import OwnServer
from tests.postgres.followed import RawNotes, answered_by_milvus, connect_followed, make_schema, place
from tests.postgres.stores import add_parameters, prepare_namespace
from vecstore import Record, VectorStore

pytestmark = pytest.mark.long
KILLS = 30
ROWS = 200
FRESH = 1_000
_GRID = 16


@contextmanager
def run_feeder(url: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `vecstore follow`; the last process of the list is the one that runs."""
    processes = [start_feeder(url)]
    try:
        yield processes
    finally:
        for each in processes:
            each.kill()
            each.wait()


def start_feeder(url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "vecstore", "follow", url, "--json"], stdout=subprocess.DEVNULL)


class Line:
    """Records on a line, changed at random, and what a search has to find."""

    def __init__(self, store: VectorStore, seed: int) -> None:
        self._store = store
        self._random = random.Random(seed)
        self.compared = 0
        self.places = {f"r{number}": float(number) for number in range(ROWS)}
        store.upsert(Record(id_, place(0, at)) for id_, at in self.places.items())

    def change(self) -> None:
        id_ = f"r{self._random.randrange(2 * ROWS)}"
        if id_ in self.places and self._random.random() < 0.3:
            del self.places[id_]
            self._store.delete(ids=[id_])
            return
        self.places[id_] = self._draw()
        self._store.upsert([Record(id_, place(0, self.places[id_]))])

    def check(self, searched: VectorStore) -> bool:
        """Search; say whether Milvus took part."""
        at = self._draw()
        true = sorted(self.places, key=lambda id_: (abs(self.places[id_] - at), id_))[:3]
        hits = searched.search(place(0, at), k=3)
        assert [hit.id for hit in hits] == true
        self.compared += 1
        return not hits.exact

    def _draw(self) -> float:
        """Return a number whose distances from others, and the squares of these, float32 has without rounding."""
        return self._random.randrange(ROWS * _GRID) / _GRID


def test_no_answer_is_wrong_however_often_something_dies(
    postgres_url: str, namespace: str, tmp_path: Path, note: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("VECSTORE_SEED") or secrets.randbelow(2**32))
    print(f"VECSTORE_SEED={seed}")  # noqa: T201
    chance, answered, servers = random.Random(seed), 0, 0
    prepare_namespace(postgres_url, namespace)
    with (
        OwnServer(tmp_path / "milvus") as server,
        connect_followed(postgres_url, namespace, server.url) as searching,
        vecstore.connect(add_parameters(postgres_url, namespace)) as writing,
    ):
        store = searching.create("killed", make_schema())
        line = Line(store, seed)
        other = writing.open("killed")
        line._store = other
        with run_feeder(add_parameters(postgres_url, namespace, vectors=server.url)) as feeders:
            patience = 0.0
            for _ in range(KILLS):
                until, before = time.monotonic() + chance.uniform(0.5, 6), answered
                while (left := until - time.monotonic()) > 0 or (answered == before and left + patience > 0):
                    line.change()
                    answered += line.check(store)
                patience = 0.0
                if chance.random() < 0.7:  # the server needs some seconds to come back
                    feeders[-1].kill()
                    feeders.append(start_feeder(add_parameters(postgres_url, namespace, vectors=server.url)))
                else:
                    server.kill()
                    server.launch()
                    servers += 1
                    patience = chance.choice((0.0, 60.0, 60.0))  # until Milvus answers again, or not
            server.start()
            with psycopg.connect(postgres_url, autocommit=True) as link:
                notes, until = RawNotes(link, namespace), time.monotonic() + 180
                while notes.list_waiting() and time.monotonic() < until:
                    answered += line.check(store)
                assert notes.list_waiting() == []
        assert answered, "Milvus was asked by no search"
        until = time.monotonic() + 60
        while store.search(place(5), k=1).exact and time.monotonic() < until:
            assert line.check(store) in {True, False}
        answered_by_milvus(store, place(5))
        assert store.verify().ok
        note(
            f"{KILLS} kills, {servers} of them of the Milvus server: {line.compared} searches compared, {answered} of "
            "them answered by Milvus, no wrong answer"
        )


def test_a_thousand_writes_are_each_found_by_the_next_search(
    postgres_url: str, namespace: str, milvus_url: str
) -> None:
    prepare_namespace(postgres_url, namespace)
    with (
        connect_followed(postgres_url, namespace, milvus_url) as searching,
        vecstore.connect(add_parameters(postgres_url, namespace)) as writing,
    ):
        store = searching.create("fresh", make_schema())
        store.upsert(Record(f"r{number}", place(number)) for number in range(ROWS))
        other, stop, missed, answered = writing.open("fresh"), threading.Event(), 0, 0
        feeder = threading.Thread(target=searching.follow(["fresh"]).run, args=(stop,))
        feeder.start()
        for number in range(FRESH):
            other.upsert([Record("moving", place(1_000 + number))])
            hits = store.search(place(1_000 + number), k=1)
            missed += hits[0].id != "moving"
            answered += not hits.exact
        stop.set()
        feeder.join()
        assert (missed, answered) == (0, FRESH)
        searching.drop("fresh")
