"""A namespace that was dropped and made again under an open handle, as by a restore: typed errors or what is there."""

from __future__ import annotations

import psycopg

import vecstore
from vecstore import Record, Schema, VecstoreError

from .stores import add_parameters, open_database, prepare_namespace


def test_a_namespace_that_is_dropped_and_made_again(
    postgres_url: str, namespace: str, admin: psycopg.Connection
) -> None:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as db:
        store = db.create("docs", Schema(dim=2, metric="l2"))
        store.insert([Record("old", [1, 2])])
        for _ in range(7):
            assert store.search([1, 2], k=1)[0].id == "old"
        admin.execute(f'DROP SCHEMA "{namespace}" CASCADE'.encode())
        calls = (lambda: store.search([1, 2], k=1), store.count, lambda: store.upsert([Record("x", [1, 2])]), db.names)
        for call in calls:
            assert isinstance(find_error(call), VecstoreError)
        prepare_namespace(postgres_url, namespace)
        with vecstore.connect(add_parameters(postgres_url, namespace)) as other:
            other.create("docs", Schema(dim=2, metric="l2")).insert([Record("new", [1, 2])])
        for call in calls[:3]:
            assert isinstance(find_error(call), VecstoreError)
        assert db.open("docs").search([1, 2], k=1)[0].id == "new"


def find_error(call: object) -> BaseException | None:
    assert callable(call)
    try:
        call()
    except VecstoreError as error:
        return error
    return None
