"""The locks of a write's guard, against a switch that waits for them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import Engine, NullPool, create_engine

from tests.batches import DIM
from vecstore import Database, Schema, StoreLocked, VectorStore, fields

from .stores import open_database

_WAITING = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND mode = 'ExclusiveLock' AND NOT granted"
)


def make_engine(url: str) -> Engine:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)


def test_a_switch_waits_for_a_write_and_later_writes_wait_for_the_switch(
    database: Database, store: VectorStore, postgres_url: str, namespace: str, admin: psycopg.Connection
) -> None:
    """With the row's lock alone, each later write would share it and overtake the switch."""
    database.rebuild("a", schema=Schema(DIM, "l2", fields={"tag": fields.Int()}))
    [changed, other] = [record.id for record in store.scan(limit=2)]
    store = database.open("a")
    with (
        ThreadPoolExecutor(1) as pool,
        open_database(postgres_url, namespace, lock_timeout=30) as patient,
        open_database(postgres_url, namespace, lock_timeout=0.2) as hasty,
    ):
        with make_engine(postgres_url).begin() as link:
            assert store.using(link).update(ids=[changed], metadata={"tag": 99}) == 1
            switching = pool.submit(patient.rollback, "a")
            deadline = time.monotonic() + 60
            while admin.execute(_WAITING).fetchone() != (1,):
                assert time.monotonic() < deadline
                assert not switching.done()
            with pytest.raises(StoreLocked):
                hasty.open("a").update(ids=[other], metadata={"tag": 98})
        switching.result()
    found = database.open("a").get([changed, other])
    assert [record is not None and record.metadata["tag"] for record in found] == [99, 1]
