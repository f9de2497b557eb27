"""Forks: a child is refused what its parent opened, connects anew, and nobody gets another process's answers."""

from __future__ import annotations

import multiprocessing
import os
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from .. import connect
from ..database import Database
from ..errors import ForkedStore
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .catalogue import OPERATIONS
from .lifetimes import DATABASE_OPERATIONS
from .place import Place, Places
from .sample_records import SCHEMA, key_by_id, make_book, make_books, read_contents

ROUNDS = 12
"""How often each process asks."""
_RECORDS = 32


class ForkTests(Places):
    """A process that forks."""

    def test_the_child_gets_forked_store_and_connects_again(self, place: Place, db: Database) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        scan = store.scan(batch_size=1)
        next(scan)

        def in_child() -> None:
            for operation in OPERATIONS.values():
                with pytest.raises(ForkedStore, match="fork"):
                    operation(store)
            for deed in DATABASE_OPERATIONS.values():
                with pytest.raises(ForkedStore, match="fork"):
                    deed(db)
            with pytest.raises(ForkedStore, match="fork"):
                next(scan)
            db.close()
            if place.processes:
                with connect(place.url) as own:
                    assert own.open("docs").upsert(make_books(range(2, 5))) == 3

        forked(in_child)
        assert len([*scan]) == (4 if place.processes else 2)
        assert read_contents(store) == key_by_id(make_books(range(5 if place.processes else 3)))
        assert store.upsert([make_book(7)]) == 1

    def test_parent_and_children_ask_at_the_same_time(self, place: Place, db: Database) -> None:
        """Each asks something else, so an answer that reaches the wrong process is noticed."""
        if not place.processes:
            pytest.skip("the place belongs to one process")
        store = fill(db)
        deeds = [partial(work, place.url, number) for number in (1, 2, 3)]
        do_in_children(deeds, partial(ask, store, 0, ROUNDS))
        assert store.verify().ok

    def test_forks_while_threads_are_inside_calls(self, place: Place, db: Database) -> None:
        """Some of them write."""
        if not place.processes:
            pytest.skip("the place belongs to one process")
        store = fill(db)
        with keep_asking(store):
            for turn in range(3):
                forked(partial(work, place.url, turn, 3))
        assert store.verify().ok

    def test_grandchildren(self, place: Place, db: Database) -> None:
        if not place.processes:
            pytest.skip("the place belongs to one process")
        store = fill(db)

        def in_child() -> None:
            with connect(place.url) as own:
                mine = own.open("docs")
                ask(mine, 1, 2)

                def in_grandchild() -> None:
                    for each in (store, mine):
                        with pytest.raises(ForkedStore, match="fork"):
                            each.count()
                    work(place.url, 2)

                do_in_children([in_grandchild], partial(ask, mine, 1, ROUNDS))

        do_in_children([in_child], partial(ask, store, 0, ROUNDS))

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_processes_of_multiprocessing(self, place: Place, db: Database, method: str) -> None:
        if not place.processes:
            pytest.skip("the place belongs to one process")
        store = fill(db)
        context: Any = multiprocessing.get_context(method)
        workers = [context.Process(target=work, args=(place.url, number)) for number in (1, 2)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python ≥ 3.12: forking beside threads
            for each in workers:
                each.start()
        ask(store, 0, ROUNDS)
        for each in workers:
            each.join()
        assert [each.exitcode for each in workers] == [0, 0]


def fill(db: Database) -> VectorStore:
    """Create a store in which each record is nearest to itself."""
    store = db.create("docs", Schema(dim=2, metric="l2"))
    store.insert(Record(f"id-{number}", [float(number), 0.0], f"text {number}") for number in range(_RECORDS))
    return store


def read_refusal(store: VectorStore) -> str:
    """Return what a call on a parent's store says in the child."""
    with pytest.raises(ForkedStore) as caught:
        store.count()
    return str(caught.value)


def ask(store: VectorStore, asker: int, rounds: int) -> None:
    """Ask what no other asker asks, and check every answer."""
    own = [number for number in range(_RECORDS) if number % 4 == asker % 4]
    for turn in range(rounds):
        number = own[turn % len(own)]
        [hit] = store.search([number + 0.25, 0.0], k=1)
        assert (hit.id, hit.text) == (f"id-{number}", f"text {number}")
        [record] = store.get([f"id-{number}"])
        assert record is not None
        assert record.text == f"text {number}"
        assert store.upsert([Record(f"own-{asker}", [1e6 + asker, 0.0])]) == 1


def work(url: str, asker: int, rounds: int = ROUNDS) -> None:
    """Connect, and ask what no other asker asks; the target of a process."""
    with connect(url) as db:
        ask(db.open("docs"), asker, rounds)


def do_in_children(deeds: Sequence[Callable[[], None]], meanwhile: Callable[[], None]) -> None:
    """Do each deed in a child of its own and something else here, all at once, and prove that all went well."""
    children = [start_child(deed) for deed in deeds]
    try:
        meanwhile()
    finally:
        for child in children:
            wait_for_child(child)


@contextmanager
def keep_asking(store: VectorStore, threads: int = 3) -> Iterator[None]:
    """Ask in threads while the context lasts, and check every answer."""
    process, ended = os.getpid(), threading.Event()
    failures: list[BaseException] = []

    def run(asker: int) -> None:
        try:
            while not ended.is_set():
                ask(store, asker, 1)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that tests
            failures.append(error)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for each in running:
        each.start()
    try:
        yield
    finally:
        if os.getpid() == process:
            ended.set()
            for each in running:
                each.join()
    assert failures == []


def forked(deed: Callable[[], None]) -> None:
    """Do something in a child process, and prove that it went well."""
    wait_for_child(start_child(deed))


def start_child(deed: Callable[[], None]) -> int:
    """Fork a child that does something, and return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python ≥ 3.12: forking beside threads
        child = os.fork()
    if child == 0:
        try:
            deed()
        except BaseException:  # noqa: BLE001 - nothing of the test may go on in the child
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def wait_for_child(child: int) -> None:
    """Wait for a child of `start_child`, and prove that it went well."""
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "see what the child printed"
