"""Servers that are killed: they keep what their settings promise, batches are whole, and no answer is short."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

import vecstore
from servers.redis.own_server import OwnServer
from tests.batch_writer import BatchWriter
from tests.batches import TAGS, batch, numbers, schema, vector_of
from tests.lateness import Lateness
from vecstore import (
    HNSW,
    BackendUnavailable,
    Database,
    IndexNotReady,
    StorageFailed,
    StoreNotFound,
    Timeout,
    Unsupported,
    VectorStore,
)

from .places import add_parameters
from .stores import NAMESPACE, open_database, read_stored_ids

CROWD = 160
"""Number of batches in a store that the server needs some time to load."""
WRITER_TIMEOUT = 30
"""Seconds, which is more than the server needs even if the disk is busy."""


@pytest.fixture(params=["always", "everysec"])
def fsync(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def durable_server(server_folder: Path, fsync: str) -> Iterator[OwnServer]:
    with OwnServer(server_folder, {"appendfsync": fsync}) as server:
        yield server


@pytest.fixture
def file_server(server_folder: Path) -> Iterator[OwnServer]:
    """A server with an append-only file."""
    with OwnServer(server_folder) as server:
        yield server


def create_stores(server: OwnServer) -> None:
    """Create the store that the writer fills, and one that stays as it is; return when they are on disk."""
    with open_database(server.url) as database:
        database.create("a", schema())
        crowd = database.create("crowd", schema())
        for first in range(0, CROWD, TAGS):
            crowd.insert([record for number in range(first, min(first + TAGS, CROWD)) for record in batch(number)])
    with server.connect() as client:
        client.set("after", "both")  # the next command waits for the writes of its own connection
        assert client.waitaof(1, 0, 0) == [1, 0]


def count_tag(store: VectorStore, tag: int) -> int:
    """Count a tag's records by reading them all."""
    return sum(record.metadata["tag"] == tag for record in store.scan())


class Kills:
    """A server that is killed again and again while a process writes, and what others see right afterwards.

    With ``appendfsync always``, the server keeps every batch that it acknowledged. With ``everysec``, it delays its
    write to the file while the previous fsync runs, which takes long on a busy disk. A kill then loses the last
    batches, but none that the server had read from its file, and none that is older than one that it kept.
    """

    def __init__(
        self, server: OwnServer, survivor: Database, writer: BatchWriter, draws: random.Random, *, keeps_all: bool
    ) -> None:
        self._writer = writer
        self._server = server
        self._crowd, self._written = survivor.open("crowd"), survivor.open("a")
        self._draws = draws
        self._keeps_all = keeps_all
        self._in_file: set[int] = set()
        self._lost: set[int] = set()

    def kill_once(self, *, paused: bool) -> None:
        threading.Event().wait(self._draws.uniform(0, 0.05))  # the moment of the kill is random
        self._server.kill()
        self._writer.listen_for("lost")
        acknowledged = set(self._writer.acknowledged)
        with pytest.raises((BackendUnavailable, Timeout)):
            self._crowd.count({"tag": 1})
        with self._writer.paused() if paused else nullcontext():
            self._server.launch()
            tag, found = self._read_answers()
            self._server.start()
            self._check_kept(acknowledged)
        assert found % 20 == 0
        assert found >= 20 * sum(number % TAGS == tag for number in self._in_file)
        with Lateness() as lateness:
            self._writer.listen_for("acked")
            assert lateness.undisturbed() < WRITER_TIMEOUT  # it did not wait for an answer from the killed server
        assert self._writer.acknowledged - self._lost <= self._read_stored()

    def finish(self) -> None:
        self._writer.stop()
        acknowledged, stored = self._writer.acknowledged, self._read_stored()
        assert acknowledged - self._lost <= stored <= acknowledged | {max(acknowledged) + 1}
        assert self._writer.failures <= {"UnknownOutcome", "BackendUnavailable"}

    def _check_kept(self, acknowledged: set[int]) -> None:
        """Check what is left of the batches that were acknowledged before a kill, and note what was lost."""
        kept = acknowledged & self._read_stored()
        lost = acknowledged - kept - self._lost
        if self._keeps_all:
            assert not lost
        assert self._in_file <= kept
        assert not lost or min(lost) > max(kept, default=0)
        self._in_file = kept
        self._lost |= lost

    def _read_answers(self) -> tuple[int, int]:
        """Read until there are answers, check that they are complete, and return a tag and its number of records."""
        tag = self._draws.randrange(TAGS)
        expected = 20 * sum(number % TAGS == tag for number in range(CROWD))
        while True:
            try:
                with open_database(self._server.url, timeout=5) as newcomer:
                    for crowd in (self._crowd, newcomer.open("crowd")):
                        assert crowd.count({"tag": tag}) == expected
                        assert len(crowd.search(vector_of(tag), k=CROWD * 20, where={"tag": tag})) == expected
                found = self._written.count({"tag": tag})
                assert count_tag(self._crowd, tag) == expected
            except (BackendUnavailable, Timeout, IndexNotReady):
                continue
            return tag, found

    def _read_stored(self) -> set[int]:
        with self._server.connect() as client:
            return numbers(read_stored_ids(client, "a"))


def kill_repeatedly(server: OwnServer, fsync: str, rounds: int, seed: int, *, paused: bool) -> None:
    """Kill a server repeatedly. The writer is paused until the other clients have their answers, or goes on writing."""
    create_stores(server)
    url = add_parameters(server.url, namespace=NAMESPACE, timeout=WRITER_TIMEOUT)
    with open_database(server.url, timeout=1) as survivor, BatchWriter(url) as writer:
        kills = Kills(server, survivor, writer, random.Random(seed), keeps_all=fsync == "always")
        for _ in range(rounds):
            kills.kill_once(paused=paused)
        kills.finish()


def test_a_killed_server_keeps_what_its_settings_promise(durable_server: OwnServer, fsync: str, seed: int) -> None:
    kill_repeatedly(durable_server, fsync, rounds=5, seed=seed, paused=True)


@pytest.mark.long
def test_a_server_killed_many_times_keeps_what_its_settings_promise(
    durable_server: OwnServer, fsync: str, seed: int, note: Callable[[str], None]
) -> None:
    kill_repeatedly(durable_server, fsync, rounds=25, seed=seed, paused=True)
    note(f"kill -9 of Redis, seed {seed}: 25 kills")


@pytest.mark.long
def test_answers_are_complete_while_others_write_to_a_starting_server(
    durable_server: OwnServer, fsync: str, seed: int
) -> None:
    kill_repeatedly(durable_server, fsync, rounds=6, seed=seed, paused=False)


def test_a_server_that_saved_nothing_has_no_store_instead_of_an_empty_one(server_folder: Path) -> None:
    with OwnServer(server_folder, {"appendonly": "no"}) as server, open_database(server.url) as database:
        store = database.create("a", schema())
        store.upsert(batch(1))
        assert str(store.stats().details["durability"]).startswith("none between snapshots: nothing is saved")
        server.kill()
        server.start()
        for call in (store.count, lambda: store.search(vector_of(1)), lambda: store.upsert(batch(2))):
            with pytest.raises(StoreNotFound):
                call()


def test_a_server_with_snapshots_returns_to_the_whole_last_one(server_folder: Path) -> None:
    with (
        OwnServer(server_folder, {"appendonly": "no", "save": "900 1"}) as server,
        open_database(server.url) as database,
    ):
        store = database.create("a", schema(HNSW()))
        for number in range(5):
            store.upsert(batch(number))
        store.reindex()
        with server.connect() as client:
            client.save()
        store.upsert(batch(5))
        store.delete(where={"tag": 1})
        store.reindex()  # this index is not in the snapshot
        server.kill()
        server.start()
        for found in (store, database.open("a")):
            assert numbers([record.id for record in found.scan()]) == set(range(5))
            assert found.count({"tag": 1}) == len(found.search(vector_of(1), k=50, where={"tag": 1})) == 20
            assert len(found.search(vector_of(1), k=100, exact=True)) == 100
            assert found.verify().problems == ()
        assert store.upsert(batch(5)) == 20


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"appendonly": "no", "save": ""}, "none between snapshots: nothing is saved; turn appendonly on"),
        (
            {"appendonly": "no", "save": "900 1"},
            "none between snapshots: snapshots only (save 900 1); turn appendonly on",
        ),
        (
            {"appendonly": "yes", "appendfsync": "no"},
            "append-only file, appendfsync no: "
            "writes survive a kill of the server; a power failure loses what the system had not written",
        ),
        (
            {"appendonly": "yes", "appendfsync": "everysec"},
            "append-only file, appendfsync everysec: "
            "a kill of the server or a power failure may lose the last second or two",
        ),
        (
            {"appendonly": "yes", "appendfsync": "always"},
            "append-only file, appendfsync always: every acknowledged write is on disk",
        ),
    ],
)
def test_stats_describe_the_durability(file_server: OwnServer, settings: dict[str, str], said: str) -> None:
    with file_server.connect() as client, open_database(file_server.url) as database:
        for name, value in settings.items():
            client.config_set(name, value)
        assert database.create("a", schema()).stats().details["durability"] == said


class TestWaitingForTheFile:
    """With ``wait_aof=on``."""

    @pytest.mark.parametrize("fsync", ["always", "everysec"])
    def test_a_write_is_acknowledged_when_it_is_on_the_disk(self, file_server: OwnServer, fsync: str) -> None:
        with file_server.connect() as client:
            client.config_set("appendfsync", fsync)
        with open_database(file_server.url, wait_aof="on") as database:
            store = database.create("a", schema())
            assert store.upsert(batch(1)) == 20
            assert store.insert(batch(2)) == 20
            assert store.update(ids=["b00001-00"], metadata={"tag": 3}) == 1
            assert store.delete(where={"tag": 2}) == 20

    def test_a_write_that_does_not_reach_the_disk_is_not_acknowledged(self, file_server: OwnServer) -> None:
        with open_database(file_server.url) as database:
            database.create("a", schema())
        with file_server.connect() as client, open_database(file_server.url, wait_aof="on", timeout=1) as database:
            client.config_set("appendfsync", "no")  # the system writes it at an unknown time
            with pytest.raises(Timeout, match="The write is made, but was not on disk"):
                database.open("a").upsert(batch(1))
            assert database.open("a").count() == 20
            client.config_set("appendfsync", "always")
            with open_database(file_server.url, wait_aof="on") as patient:
                assert patient.open("a").upsert(batch(1)) == 20

    def test_a_server_without_the_file_is_refused(self, file_server: OwnServer) -> None:
        with file_server.connect() as client, open_database(file_server.url, wait_aof="on") as database:
            store = database.create("a", schema())
            client.config_set("appendonly", "no")
            with pytest.raises(Unsupported, match="Turn appendonly on"):
                vecstore.connect(add_parameters(file_server.url, wait_aof="on"))
            with pytest.raises(StorageFailed, match=r"The write is made, but .* appendonly"):
                store.upsert(batch(1))
            assert store.count() == 20
