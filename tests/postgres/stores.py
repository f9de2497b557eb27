"""Stores on a PostgreSQL server, for tests of failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import psycopg

import vecstore
from vecstore import Database

from .catalogues import format_statement
from .namespaces import create_catalogue


def prepare_namespace(url: str, namespace: str) -> None:
    """Create the catalogue."""
    with psycopg.connect(url, autocommit=True) as link:
        create_catalogue(link, namespace)


def add_parameters(url: str, namespace: str, **parameters: object) -> str:
    return f"{url}?{urlencode({'namespace': namespace, 'index_min_rows': 32, **parameters})}"


@contextmanager
def open_database(url: str, namespace: str, **parameters: object) -> Iterator[Database]:
    with vecstore.connect(add_parameters(url, namespace, **parameters)) as database:
        yield database


def read_stored_ids(url: str, namespace: str, store: str) -> list[str]:
    """Read the ids of a store's records without vecstore."""
    with psycopg.connect(url) as link:
        where = format_statement("SELECT active FROM {}.vecstore_store WHERE name = %s", namespace)
        [(generation,)] = link.execute(where, (store,)).fetchall()
        rows = link.execute(format_statement("SELECT id FROM {}.{} WHERE embedding IS NOT NULL", namespace, generation))
        return [id_ for (id_,) in rows]
