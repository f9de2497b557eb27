"""Stores on a server of PostgreSQL for the tests of what goes wrong there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import psycopg

import vecstore
from vecstore import Database

from .catalogues import in_namespace
from .namespaces import lay_catalogue


def lay(url: str, namespace: str) -> None:
    """Create the catalogue."""
    with psycopg.connect(url, autocommit=True) as link:
        lay_catalogue(link, namespace)


def url_with(url: str, namespace: str, **parameters: object) -> str:
    return f"{url}?{urlencode({'namespace': namespace, 'index_min_rows': 32, **parameters})}"


@contextmanager
def opened(url: str, namespace: str, **parameters: object) -> Iterator[Database]:
    with vecstore.connect(url_with(url, namespace, **parameters)) as database:
        yield database


def stored_ids(url: str, namespace: str, store: str) -> list[str]:
    """Read the ids through a way of its own."""
    with psycopg.connect(url) as link:
        where = in_namespace("SELECT active FROM {}.vecstore_store WHERE name = %s", namespace)
        [(generation,)] = link.execute(where, (store,)).fetchall()
        rows = link.execute(in_namespace("SELECT id FROM {}.{} WHERE embedding IS NOT NULL", namespace, generation))
        return [id_ for (id_,) in rows]
