"""The server of the tests: nobody else reaches it, its data survive it. And clients of one that is not there."""

from __future__ import annotations

import errno
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from servers.milvus.own_server import OwnServer
from servers.milvus.programs import PORT
from servers.ports import reserve_port
from tests.proxy import make_proxy
from tests.sources import ROOT
from vecstore import BackendUnavailable, ForkedStore, IndexNotReady, Schema, StorageError, StorageFailed, Timeout
from vecstore.backends.milvus.client import MilvusClient
from vecstore.backends.milvus.collection import Collection
from vecstore.backends.milvus.fields import plan_layout
from vecstore.backends.milvus.options import MilvusOptions, parse_milvus_url

from .collections import draw_vectors, fill, list_all, make_plan

SCHEMA = Schema(dim=8)


def test_the_server_says_its_version(client: MilvusClient) -> None:
    assert client.server_version >= (2, 3, 0)
    client.draw_timestamp()
    assert client.place == f"milvus://{client.options.address}/default"


def test_nobody_listens_where_the_server_does(client: MilvusClient) -> None:
    """The server listens on all addresses, but of another network."""
    client.draw_timestamp()
    for host in ("127.0.0.1", socket.gethostname()):
        with socket.socket() as probe:
            probe.settimeout(5)
            assert probe.connect_ex((host, PORT)) == errno.ECONNREFUSED


@pytest.fixture
def nobody() -> Iterator[MilvusClient]:
    """A client of a port that nobody listens on."""
    client = MilvusClient(MilvusOptions(f"127.0.0.1:{reserve_port()}", timeout=5))
    yield client
    client.close()


def test_a_server_that_is_not_there(nobody: MilvusClient) -> None:
    with pytest.raises(BackendUnavailable, match="cannot be reached") as refused:
        nobody.draw_timestamp()
    assert "127.0.0.1" not in str(refused.value)
    assert refused.value.retryable


def test_a_server_that_is_no_milvus() -> None:
    """As where the port is another service's: a search of a followed store is answered by PostgreSQL then."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    client = MilvusClient(MilvusOptions(f"127.0.0.1:{port}"))
    with pytest.raises(StorageFailed, match=r"no Milvus of version 2\.3 or newer\. Check host and port"):
        client.draw_timestamp()
    client.close()
    server.stop(None).wait()


def test_a_database_that_is_not_there(milvus_url: str, name: str) -> None:
    client = MilvusClient(parse_milvus_url(f"{milvus_url}/nobody"))
    collection = Collection(client, name, plan_layout(SCHEMA))
    with pytest.raises(StorageFailed, match=r"no database of that name\. Correct it in vectors="):
        collection.create(make_plan(SCHEMA))
    client.close()


def test_a_server_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = MilvusClient(MilvusOptions(f"127.0.0.1:{listener.getsockname()[1]}", timeout=0.3))
        with pytest.raises(StorageError) as silent:
            client.draw_timestamp()
        assert isinstance(silent.value, Timeout | BackendUnavailable)
        client.close()


def test_a_server_that_is_slow_to_greet_is_waited_for(milvus_url: str) -> None:
    with make_proxy(milvus_url) as proxy:
        proxy.delay(0.4)
        client = MilvusClient(parse_milvus_url(proxy.replace_address(milvus_url)))
        assert client.server_version
        client.close()


def test_a_closed_client(milvus_url: str) -> None:
    client = MilvusClient(parse_milvus_url(milvus_url))
    client.draw_timestamp()
    client.close()
    client.close()
    with pytest.raises(BackendUnavailable, match="closed"):
        client.draw_timestamp()


def test_a_forked_child_is_refused_and_may_connect_anew(client: MilvusClient) -> None:
    client.draw_timestamp()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        said = b"nothing"
        try:
            client.draw_timestamp()
        except ForkedStore:
            said = b"refused"
        except BaseException as error:  # noqa: BLE001 - the parent is told
            said = repr(error).encode()
        os.write(write, said)
        os._exit(0)
    os.close(write)
    assert os.read(read, 500) == b"refused"
    os.close(read)
    os.waitpid(pid, 0)
    client.draw_timestamp()


def test_threads_share_a_client(client: MilvusClient) -> None:
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(5):
                client.draw_timestamp()
        except BaseException as error:  # noqa: BLE001 - the test raises it
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []


@pytest.mark.long
class TestOwnServer:
    """A server that a test kills."""

    @pytest.fixture
    def server(self) -> Iterator[OwnServer]:
        with tempfile.TemporaryDirectory(prefix="vecstore-milvus-") as folder, OwnServer(Path(folder) / "m") as server:
            yield server

    def test_what_is_acknowledged_survives_a_kill(self, server: OwnServer) -> None:
        client = MilvusClient(parse_milvus_url(server.url))
        collection = Collection(client, "kept", plan_layout(SCHEMA))
        collection.create(make_plan(SCHEMA))
        for batch in range(10):
            fill(collection, [f"{batch}-{n}" for n in range(100)], draw_vectors(100, 8, seed=batch), stamp=batch)
        after = collection.delete(["0-0"])
        server.kill()
        with pytest.raises(BackendUnavailable):
            collection.count()
        server.start()
        collection.load()
        found = list_all(collection, after)
        assert len(found) == 999
        assert found["9-99"] == 9
        client.close()

    def test_a_server_that_was_emptied(self, server: OwnServer) -> None:
        client = MilvusClient(parse_milvus_url(server.url))
        collection = Collection(client, "gone", plan_layout(SCHEMA))
        collection.create(make_plan(SCHEMA))
        server.wipe()
        server.start()
        assert not collection.exists()
        client.close()

    def test_it_ends_with_its_starter(self) -> None:
        program = (
            "import sys, pathlib\n"
            "from servers.milvus.own_server import OwnServer\n"
            "server = OwnServer(pathlib.Path(sys.argv[1]))\n"
            "server.launch()\n"
            "print(server.pid, flush=True)\n"
            "sys.stdin.read()\n"
        )
        with tempfile.TemporaryDirectory(prefix="vecstore-milvus-") as folder:
            starter = subprocess.Popen(
                [sys.executable, "-c", program, folder], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            with starter:
                assert starter.stdout
                handle = os.pidfd_open(int(starter.stdout.readline()))
                starter.kill()
            ended, _, _ = select.select([handle], [], [], 30)
            os.close(handle)
            assert ended


@pytest.mark.long
def test_not_loaded_is_not_ready(client: MilvusClient, name: str) -> None:
    from pymilvus.grpc_gen import milvus_pb2

    collection = Collection(client, name, plan_layout(SCHEMA))
    collection.create(make_plan(SCHEMA))
    client.call("ReleaseCollection", milvus_pb2.ReleaseCollectionRequest(collection_name=name))
    with pytest.raises(IndexNotReady):
        collection.search(np.zeros((1, 8), np.float32), 1)
    assert not collection._is_loaded()
    collection.load()
    assert collection.search(np.zeros((1, 8), np.float32), 1)[0].ids == []
    collection.drop()
