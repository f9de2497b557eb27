"""A namespace that was given back is used again and looks new."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.batches import batch, schema
from vecstore import HNSW, Database

from .catalogues import TABLES, describe_namespace, format_statement, list_schemas
from .namespaces import Namespaces
from .stores import open_database


@pytest.fixture
def spare(postgres_url: str) -> Iterator[Namespaces]:
    with Namespaces(postgres_url) as namespaces:
        yield namespaces


_FOLLOWED = """
INSERT INTO {0}.vecstore_follower (generation, place, origin) SELECT active, '', '' FROM {0}.vecstore_store;
INSERT INTO {0}.vecstore_follower_note (generation, id) SELECT active, 'a' FROM {0}.vecstore_store;
INSERT INTO {0}.vecstore_follower_left VALUES ('a', '', '')
"""
"""What would be there if a Milvus server followed the store."""


def fill(db: Database) -> None:
    """Leave a store with an index and a previous generation that follows changes."""
    store = db.create("docs", schema(HNSW(target_recall=0.5)))
    store.insert([*batch(0), *batch(1)])
    db.rebuild("docs", schema=schema(HNSW(target_recall=0.4)))
    store.upsert(batch(2))
    assert store.index_status().state == "ready"


def everything(admin: psycopg.Connection, namespace: str) -> list[Any]:
    """Return the objects of a namespace and their rows."""
    tables = [sql.Identifier(namespace, name) for name in (*sorted(TABLES), "vecstore_change_seq")]
    rows = [admin.execute(sql.SQL("SELECT * FROM {}").format(table)).fetchall() for table in tables]
    return [describe_namespace(admin, namespace), rows]


def test_it_is_the_same_one_and_like_new(spare: Namespaces, postgres_url: str, admin: psycopg.Connection) -> None:
    namespace = spare.take()
    new = everything(admin, namespace)
    with open_database(postgres_url, namespace) as db:
        fill(db)
    admin.execute(format_statement(_FOLLOWED, namespace))
    used = everything(admin, namespace)
    assert all(here != there for here, there in zip(new[1][1:], used[1][1:], strict=True)), "what is not put back"
    spare.give_back(namespace)
    assert spare.take() == namespace
    assert everything(admin, namespace) == new


def test_two_places_have_different_ones(spare: Namespaces) -> None:
    assert spare.take() != spare.take()


def test_one_with_something_else_in_it_goes(spare: Namespaces, admin: psycopg.Connection) -> None:
    for left in ("CREATE TABLE {}.vecstore_other (a int)", "DROP TABLE {}.vecstore_follower_left"):
        namespace = spare.take()
        admin.execute(format_statement(left, namespace))
        spare.give_back(namespace)
        assert namespace not in list_schemas(admin)
        assert spare.take() != namespace
