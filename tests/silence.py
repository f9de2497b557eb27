"""Calls on a network that goes silent. Each must end within its timeout and one second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from types import MappingProxyType

import pytest

from vecstore import Database, Timeout, VecstoreError, VectorStore

from .batches import batch, vector_of
from .lateness import Lateness

TIMEOUT = 0.5

Call = Callable[[VectorStore], object]
READS: Mapping[str, Call] = MappingProxyType(
    {
        "search": lambda store: store.search(vector_of(1)),
        "search_many": lambda store: store.search_many([vector_of(each) for each in range(30)]),
        "get": lambda store: store.get(["b00001-00"]),
        "count": lambda store: store.count(),
        "scan": lambda store: list(store.scan()),
        "stats": lambda store: store.stats(),
        "index_status": lambda store: store.index_status(),
        "verify": lambda store: store.verify(),
    }
)
WRITES: Mapping[str, Call] = MappingProxyType(
    {
        "upsert": lambda store: store.upsert(batch(2)),
        "insert": lambda store: store.insert(batch(3)),
        "update": lambda store: store.update(ids=["b00001-00"], metadata={"tag": 1}),
        "delete": lambda store: store.delete(ids=["b00001-00"]),
    }
)


@contextmanager
def expect_in_time(*kinds: type[VecstoreError], word: str | None = None) -> Iterator[None]:
    """Expect one of some errors between the timeout and a second later, with a word in its message."""
    with Lateness() as lateness:
        with pytest.raises(kinds, match=word):
            yield
        assert lateness.elapsed() >= TIMEOUT
        assert lateness.undisturbed() < TIMEOUT + 1


def open_store(stack: ExitStack, connect: Callable[[], AbstractContextManager[Database]]) -> VectorStore:
    """Open a store, once more where a busy machine lets the timeout pass: nothing is silent yet."""
    for _ in range(4):
        with suppress(Timeout):
            return stack.enter_context(connect()).open("a")
    return stack.enter_context(connect()).open("a")


def fail_all_at_once(
    calls: Mapping[str, Call],
    connect: Callable[[], AbstractContextManager[Database]],
    silent: AbstractContextManager[object],
    kind: type[VecstoreError],
) -> None:
    """Make each call on its own Database while the network is silent, and again afterwards."""

    def fail(call: Call, store: VectorStore) -> None:
        with expect_in_time(kind):
            call(store)

    with ExitStack() as stack, ThreadPoolExecutor(len(calls)) as threads:
        stores = [open_store(stack, connect) for _ in calls]
        for store in stores:
            store.upsert(batch(1))  # reads what a Database reads only once
        with silent:
            list(threads.map(fail, calls.values(), stores))
        for call, store in zip(calls.values(), stores, strict=True):
            call(store)  # on a new connection, because the old one stays silent


def find_watchers() -> set[threading.Thread]:
    """Return the threads that enforce timeouts; one of a closed Database may be about to end."""
    return {thread for thread in threading.enumerate() if thread.name == "vecstore-deadlines"}


def join_watchers(watchers: set[threading.Thread]) -> None:
    """Wait until some of those threads end."""
    for thread in watchers:
        thread.join(60)
        assert not thread.is_alive()
