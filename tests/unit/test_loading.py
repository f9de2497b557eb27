"""The upkeep of a block of writes, on a backend that counts it."""

from __future__ import annotations

import warnings

import pytest

from tests.unit.graph_backend import GraphBackend
from tests.unit.test_upkeep import IDLE, SCHEMA, WRITES, some_records
from vecstore import Database, StorageFailed, UpkeepWarning, VectorStore


@pytest.fixture
def backend() -> GraphBackend:
    return GraphBackend()


@pytest.fixture
def store(backend: GraphBackend) -> VectorStore:
    store = Database(backend).create("docs", SCHEMA)
    store.insert(some_records(300))
    backend.steps.clear()
    return store


def test_a_block_of_writes_is_followed_by_upkeep_once(backend: GraphBackend, store: VectorStore) -> None:
    with store.loading():
        for write in WRITES.values():
            write(store)
        assert backend.steps == []
    assert backend.steps == ["tend"]
    with store.loading():
        for write in IDLE.values():
            write(store)
    assert backend.steps == ["tend"]


def test_a_failed_upkeep_of_a_block_is_a_warning_at_the_block(backend: GraphBackend, store: VectorStore) -> None:
    backend.error = StorageFailed("The disk is full.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with store.loading():
            store.upsert(some_records(3))
    assert [(each.category, each.filename) for each in caught] == [(UpkeepWarning, __file__)]
