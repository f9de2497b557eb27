"""Stores on PostgreSQL that a Milvus server follows, for tests; and what is noted of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

import vecstore
from tests.postgres.catalogues import format_statement
from tests.postgres.stores import add_parameters, prepare_namespace
from vecstore import Database, Hits, MilvusIndex, Record, Schema, VectorStore, fields
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.followed.following import Following

DIM = 8
WAITING = 2**63 - 1


def make_schema(index: str = "FLAT") -> Schema:
    return Schema(
        dim=DIM, metric="l2", index=MilvusIndex(index), fields={"n": fields.Int(), "word": fields.Keyword()},
        vectors="optional",
    )  # fmt: skip


def make_records(numbers: Sequence[int], shift: float = 0.0) -> list[Record]:
    return [Record(f"r{n:06}", place(n, shift), f"text {n}", {"n": n, "word": f"w{n % 7}"}) for n in numbers]


def place(number: int, shift: float = 0.0) -> NDArray[np.float32]:
    """Return a vector on a line: the distance of two is the difference of their numbers."""
    vector = np.zeros(DIM, np.float32)
    vector[0] = number + shift
    return vector


@contextmanager
def connect_followed(server: str, namespace: str, milvus: str, **parameters: object) -> Iterator[Database]:
    with vecstore.connect(add_parameters(server, namespace, vectors=milvus, **parameters)) as database:
        get_following(database).upkeep.few_notes = 500  # as where only large stores are followed
        yield database


@contextmanager
def connect_new(server: str, namespace: str, milvus: str) -> Iterator[Database]:
    """Connect to a namespace that is made anew, and drop its stores at the end, with their collections."""
    prepare_namespace(server, namespace)
    with connect_followed(server, namespace, milvus) as database:
        yield database
        for name in database.names():
            database.drop(name)


def get_following(database: Database) -> Following:
    backend = database._backend
    assert isinstance(backend, PostgresBackend)
    assert backend._following is not None
    return backend._following


def answered_by_milvus(store: VectorStore, query: NDArray[np.float32], k: int = 3, **arguments: Any) -> Hits:
    """Search, make sure that Milvus took part, and that the answer is the exact one."""
    hits = store.search(query, k=k, **arguments)
    assert not hits.exact
    true = store.search(query, k=k, exact=True, **arguments)
    assert [(hit.id, hit.score) for hit in hits] == [(hit.id, hit.score) for hit in true]
    return hits


class RawNotes:
    """What is noted in a namespace, by PostgreSQL's own words."""

    def __init__(self, admin: psycopg.Connection, namespace: str) -> None:
        self._admin = admin
        self._namespace = namespace

    def list_waiting(self) -> list[str]:
        query = "SELECT id FROM {}.vecstore_follower_note WHERE done = %s ORDER BY id"
        return [id_ for (id_,) in self._admin.execute(self._make(query), [WAITING])]

    def read_follower(self) -> dict[str, Any]:
        query = "SELECT to_jsonb(f) FROM {}.vecstore_follower f"
        rows = self._admin.execute(self._make(query)).fetchall()
        return dict(rows[0][0]) if rows else {}

    def list_left(self) -> list[str]:
        query = "SELECT collection FROM {}.vecstore_follower_left ORDER BY 1"
        return [name for (name,) in self._admin.execute(self._make(query))]

    def _make(self, query: str) -> Any:
        return format_statement(query, self._namespace)


@pytest.fixture(scope="module")
def database(postgres_url: str, milvus_url: str, space: str) -> Iterator[Database]:
    """A Database of the namespace ``space`` of a test file, which is made anew."""
    with connect_new(postgres_url, space, milvus_url) as database:
        yield database


@pytest.fixture
def notes(postgres_url: str, space: str) -> Iterator[RawNotes]:
    """What is noted in the namespace ``space`` of a test file."""
    with psycopg.connect(postgres_url, autocommit=True) as link:
        yield RawNotes(link, space)
