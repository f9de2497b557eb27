"""Errors, their causes, logs and reprs show no password, text, keyword or vector."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import redis

import vecstore
from servers.redis.own_server import OwnServer
from tests.batches import DIM, schema
from tests.proxy import Proxy, make_proxy
from tests.secrets import NUMBER, PASSWORD, TEXT, WORD, change_url, collect_text, expect_error, find_leaks
from vecstore import (
    BackendUnavailable,
    Database,
    F,
    IndexNotReady,
    InvalidUrl,
    Record,
    RecordExists,
    StorageFailed,
    StoreCorrupt,
    Timeout,
    UnknownOutcome,
    VecstoreError,
    VectorStore,
)

from .stores import NAMESPACE, load_generation, open_database

VECTOR = [NUMBER] * DIM
RECORD = Record("canary", VECTOR, TEXT, {"word": WORD, "more": TEXT})
WHERE = (F.word == WORD) | (F.word == TEXT)


@pytest.fixture
def proxy(own_server: OwnServer) -> Iterator[Proxy]:
    with make_proxy(own_server.url) as proxy:
        yield proxy


@pytest.fixture
def database(own_server: OwnServer, proxy: Proxy) -> Iterator[Database]:
    with open_database(proxy.replace_address(own_server.url), timeout=1) as database:
        yield database


@pytest.fixture
def store(database: Database) -> VectorStore:
    store = database.create("a", schema())
    assert store.upsert([RECORD]) == 1
    return store


class Faults:
    """Faults that make calls with secrets fail, and the error of each."""

    def __init__(self, server: OwnServer, proxy: Proxy, store: VectorStore, client: redis.Redis) -> None:
        self._server, self._proxy, self._store, self._client = server, proxy, store, client
        self._record = f"{NAMESPACE}:rec:{load_generation(client, 'a')}:canary"

    def list_all(self) -> Iterator[tuple[type[VecstoreError], Callable[[], object]]]:
        """Yield the faults. The last one kills the server."""
        yield BackendUnavailable, lambda: vecstore.connect(change_url(self._server.url, password=PASSWORD))
        yield BackendUnavailable, lambda: vecstore.connect(change_url(self._server.url, user=WORD, password=PASSWORD))
        yield InvalidUrl, lambda: vecstore.connect(f"redis://user:{PASSWORD}@host:port/0")
        yield RecordExists, lambda: self._store.insert([RECORD])
        yield StorageFailed, self.write_without_memory
        yield StorageFailed, lambda: self.call_without_right("-hset", lambda store: store.upsert([RECORD]))
        search = partial(VectorStore.search, query=VECTOR, where=WHERE)
        yield StorageFailed, lambda: self.call_without_right("-ft.search", search)
        yield UnknownOutcome, self.cut_write
        yield Timeout, self.search_in_silence
        yield StoreCorrupt, self.read_wrong_kind
        yield StoreCorrupt, self.read_wrong_value
        yield IndexNotReady, self.search_without_index
        yield IndexNotReady, lambda: self._store.delete(where=WHERE)
        yield BackendUnavailable, self.search_killed_server

    def write_without_memory(self) -> None:
        self._client.config_set("maxmemory", 1)
        try:
            self._store.upsert([Record("another", VECTOR, TEXT, {"word": WORD})])
        finally:
            self._client.config_set("maxmemory", 0)

    def call_without_right(self, right: str, call: Callable[[VectorStore], object]) -> None:
        self._client.acl_setuser(
            "someone", enabled=True, reset=True, passwords=[f"+{PASSWORD}"], keys=["*"], categories=["+@all"]
        )
        self._client.execute_command("ACL", "SETUSER", "someone", right)
        url = change_url(self._server.url, user="someone", password=PASSWORD)
        with vecstore.connect(f"{url}?namespace={NAMESPACE}") as database:
            call(database.open("a"))

    def cut_write(self) -> None:
        self._proxy.cut_after(server_bytes=1, fate="reset")
        self._store.upsert([RECORD])

    def search_in_silence(self) -> None:
        self._proxy.swallow_everything()
        try:
            self._store.search(VECTOR, where=WHERE)
        finally:
            self._proxy.heal()

    def read_wrong_kind(self) -> None:
        kept = self._client.dump(self._record)
        assert isinstance(kept, bytes)
        self._client.set(self._record, TEXT)
        try:
            self._store.get(["canary"])
        finally:
            self._client.restore(self._record, 0, kept, replace=True)

    def read_wrong_value(self) -> None:
        self._client.hset(self._record, "f_tag", TEXT)
        try:
            self._store.get(["canary"])
        finally:
            self._store.upsert([RECORD])

    def search_without_index(self) -> None:
        for name in self._client.execute_command("FT._LIST"):
            self._client.execute_command("FT.DROPINDEX", name)
        self._store.search(VECTOR, where=WHERE)

    def search_killed_server(self) -> None:
        self._server.kill()
        self._store.search(VECTOR, where=WHERE)


@contextmanager
def collect(errors: list[BaseException]) -> Iterator[None]:
    """Append an error to a list and raise it again."""
    try:
        yield
    except VecstoreError as error:
        errors.append(error)
        raise


def test_no_secret_is_shown_anywhere(
    own_server: OwnServer, proxy: Proxy, database: Database, store: VectorStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    password, errors = own_server.password, list[BaseException]()
    with own_server.connect() as client:
        for kind, fault in Faults(own_server, proxy, store, client).list_all():
            with expect_error(kind), collect(errors):
                fault()
    assert len(errors) >= 14
    for error in errors:
        assert find_leaks(collect_text(error), password) == []
    backend = store._backend
    shown = [repr(each) for each in (database, store, backend, vars(backend), vars(backend._client))]  # type: ignore[attr-defined]
    shown += [f"{each.getMessage()} {each.exc_text} {each.args!r}" for each in caplog.records]
    assert find_leaks("\n".join(shown), password) == []


def test_a_password_in_place_of_the_host_is_not_even_in_the_cause() -> None:
    for url in (f"redis://{PASSWORD}", f"redis://me@{PASSWORD}:6379/0"):
        with pytest.raises(BackendUnavailable) as caught:
            vecstore.connect(url)
        assert find_leaks(collect_text(caught.value), PASSWORD.lower()) == []


def test_values_that_look_like_queries_are_plain_values(store: VectorStore) -> None:
    for value in (f"{WORD}}}", f"@f_word:{{{WORD}}}", f"{WORD}|*", f"(*)=>[KNN 1 @vector ${WORD}]", f'"{WORD}', "*"):
        assert len(store.search(VECTOR, where=F.word == value)) == 0
        assert store.delete(where=F.word.in_([value])) == 0
    assert store.count() == 1
