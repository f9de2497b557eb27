"""One backend object in many threads, and in a process that forked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.file.samples import (
    QUERIES,
    Store,
    connect_backend,
    list_reads,
    make_busy_store,
    make_generation,
    make_rows,
    read_contents,
)
from vecstore.backend import Search
from vecstore.backends.file.storage import lock_queue
from vecstore.errors import StoreLocked
from vecstore.filters.nodes import Compare


def test_threads_write_and_read(memory_path: Path) -> None:
    store = Store.create(memory_path)
    stop = threading.Event()

    def write(thread: int) -> int:
        for stamp in range(25):
            size = 70 if thread % 2 else 5
            batch = make_rows(range(1_000 * thread, 1_000 * thread + size), stamp)
            store.backend.write(store.active, batch, insert=False)
            if stamp % 5 == 4:
                store.backend.delete(store.active, batch.ids[:2])
        return thread

    def read() -> int:
        rounds = 0
        while not rounds or not stop.is_set():  # once at least: a thread may begin after all writers have ended
            rounds += 1
            for found in store.backend.search(
                store.active, Search(QUERIES, 400, include=frozenset({"text", "vector"}))
            ):
                assert len(set(found.rows.ids)) == len(found.rows)
            matching = store.backend.count(store.active, Compare("year", "gte", 0))
            assert 0 <= matching <= 300
            read_contents(store.backend, store.active, limit=50)
        return rounds

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        writers = [pool.submit(write, thread) for thread in range(4)]
        try:
            assert [each.result() for each in writers] == [0, 1, 2, 3]
        finally:
            stop.set()
        assert all(each.result() > 0 for each in readers)
    for thread in range(4):
        batch = make_rows(range(1_000 * thread, 1_000 * thread + (70 if thread % 2 else 5)), 24)
        assert len(store.backend.fetch(store.active, batch.ids)) == len(batch) - 2
    fresh = connect_backend(memory_path)
    assert read_contents(fresh, store.active) == read_contents(store.backend, store.active)
    assert fresh.verify(store.active).ok


def test_threads_wait_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    store = Store.create(tmp_path, lock_timeout="30")
    current = store.backend._generations.open(store.active)
    order: list[int] = []
    threads = []

    def write(number: int) -> None:
        with current.lock_writer():
            order.append(number)

    with current.lock_writer():
        for number in range(6):
            threads.append(threading.Thread(target=write, args=(number,)))
            threads[-1].start()
            while len(lock_queue._queues.waiting[str(current.paths.lock)]) < number + 2:
                pass
    for thread in threads:
        thread.join()
    assert order == list(range(6))
    assert not lock_queue._queues.waiting


def test_a_thread_gives_up_in_time(tmp_path: Path) -> None:
    store = Store.create(tmp_path, lock_timeout="0.1")
    other = connect_backend(tmp_path, lock_timeout="0.1")
    with store.backend._generations.open(store.active).lock_writer():
        for backend in (other, store.backend):
            with pytest.raises(StoreLocked, match="another thread of this process"):
                backend.write(store.active, make_rows([1], 1), insert=False)
    store.upsert([1], 1)
    store.check()


FORK = """
import os, sys, threading, time
from pathlib import Path
from tests.file.samples import list_reads, connect_backend, make_rows, read_contents
from vecstore.errors import ForkedStore

place, way = Path(sys.argv[1]), sys.argv[2]
backend = connect_backend(place)
active = backend.find(name="docs").active
before = read_contents(backend, active)
stop = threading.Event()

def write():
    stamp = 100
    while not stop.is_set():
        stamp += 1
        backend.write(active, make_rows(range(2000, 2100 if stamp % 2 else 2010), stamp), insert=False)

if way == "busy":
    thread = threading.Thread(target=write)
    thread.start()
for turn in range(8):
    child = os.fork()
    if not child:
        asked = {**list_reads(backend, active), "write": lambda: backend.write(active, make_rows([1], 1), insert=False)}
        for name, ask in asked.items():
            try:
                ask()
            except ForkedStore:
                continue
            os._exit(1)
        backend.close()
        own = connect_backend(place)
        if not set(before) <= set(read_contents(own, active)):
            os._exit(2)
        own.write(active, make_rows([3000 + turn], 1), insert=False)
        # An ordinary end, in which Python frees what the child has copies of.
        del backend, own
        sys.exit(0)
    if way == "idle":
        backend.write(active, make_rows([4000 + turn], 1), insert=False)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
stop.set()
if way == "busy":
    thread.join()
found = read_contents(backend, active)
assert {f"id-{3000 + turn:05}" for turn in range(8)} <= set(found)
assert backend.verify(active).ok
os._exit(0)
"""


@pytest.mark.parametrize("way", ["idle", "busy"])
def test_a_forked_child_connects_anew(memory_path: Path, way: str) -> None:
    store = make_busy_store(memory_path)
    store.backend.close()
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(memory_path), way],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        timeout=600,
    )
    assert (done.returncode, done.stderr) == (0, "")


UNSAFE = """
import gc, os, sys, threading
from pathlib import Path
from tests.file.samples import connect_backend, make_rows
from vecstore.backends.file.state import writes
from vecstore.backends.file.storage import connections, fork_gate
from vecstore.errors import Unsupported

fork_gate._PATIENCE = 0.1
# SQLite writes into the file before the commit; who rolled that back would undo it under the writer.
connections._WRITER = ("synchronous = EXTRA", "cache_size = 5")
place = Path(sys.argv[1])
backend = connect_backend(place)
active = backend.find(name="docs").active
volume = backend._generations.open(active)
inside, leave = threading.Event(), threading.Event()

def write():
    with volume.begin_transaction(lambda: False) as transaction:
        writes.write(transaction, make_rows(range(1000), 9), None, insert=False)
        inside.set()
        leave.wait()

thread = threading.Thread(target=write)
thread.start()
inside.wait()
child = os.fork()
if not child:
    try:
        connect_backend(place).count(active, None)
    except Unsupported as error:
        assert "spawn" in str(error)
    else:
        os._exit(1)
    del backend, volume
    gc.collect()
    sys.exit(0)
_, status = os.waitpid(child, 0)
leave.set()
thread.join()
assert backend.verify(active).ok
assert connect_backend(place).count(active, None) == 1000
os._exit(os.waitstatus_to_exitcode(status))
"""


def test_a_child_of_a_thread_that_would_not_wait_refuses(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    store.backend.close()
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", UNSAFE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


KEEP = """
import os, sys, time
from pathlib import Path
from tests.file.samples import connect_backend
backend = connect_backend(Path(sys.argv[1]))
with backend._generations.open(backend.find(name="docs").active).lock_writer():
    if not os.fork():
        time.sleep(30)
        os._exit(0)
    print("forked", flush=True)
    time.sleep(30)
"""


def test_a_child_does_not_keep_the_lock_of_a_dead_parent(tmp_path: Path) -> None:
    store = Store.create(tmp_path, lock_timeout="2")
    with subprocess.Popen([sys.executable, "-c", KEEP, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "forked\n"
        parent.kill()
    store.upsert([1], 1)
    store.check()


def test_answers_are_the_same_in_every_thread(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    expected = {name: ask() for name, ask in list_reads(store.backend, store.active).items()}

    def ask_all(_number: int) -> None:
        backend = store.backend
        assert {name: ask() for name, ask in list_reads(backend, store.active).items()} == expected

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask_all, range(12)))


def test_a_commit_larger_than_the_cache_does_not_wait_for_itself(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite then keeps readers out before the commit; none of them may hold what the writer still needs."""
    monkeypatch.setattr("vecstore.backends.file.storage.connections._WRITER", ("synchronous = EXTRA", "cache_size = 5"))
    store = Store.create(memory_path, timeout="5")
    store.backend.create("docs", make_generation(standby=True))
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            store.backend.count(store.active, Compare("year", "eq", 1))
            store.backend.changes(store.active, (), 1)
            store.backend.tombstones(store.active, None, 1)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for stamp in range(1, 16):
                batch = make_rows(range(600), stamp)
                store.backend.write(store.active, batch, insert=False, fence=[stamp] * len(batch))
                store.backend.delete(store.active, batch.ids[:50], fence=[stamp] * 50)
        finally:
            stop.set()
        for reader in readers:
            reader.result()
    assert connect_backend(memory_path).verify(store.active).ok
