"""Stores on a server of PostgreSQL for the tests of what goes wrong there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import numpy as np
import psycopg
from numpy.typing import NDArray

import vecstore
from vecstore import HNSW, Database, Flat, Hit, Record, Schema, VectorStore, fields

from .catalogues import in_namespace
from .places import catalogue_sql
from .proxy import Proxy

DIM = 16
TAGS = 16


def lay(url: str, namespace: str) -> None:
    """Create the catalogue."""
    with psycopg.connect(url, autocommit=True) as link:
        link.execute(catalogue_sql().replace("any_namespace", namespace).encode())


def url_with(url: str, namespace: str, **parameters: object) -> str:
    return f"{url}?{urlencode({'namespace': namespace, 'index_min_rows': 32, **parameters})}"


def schema(index: HNSW | None = None) -> Schema:
    return Schema(dim=DIM, metric="l2", index=index or Flat(), fields={"tag": fields.Int(), "word": fields.Keyword()})


def vector_of(tag: int) -> NDArray[np.float32]:
    """Return the vector of a tag, as far from all others as they are from each other."""
    vector = np.zeros(DIM, np.float32)
    vector[tag % TAGS] = 1
    return vector


def batch(number: int, size: int = 20) -> list[Record]:
    """Return records that are all stored or none."""
    tag = number % TAGS
    return [
        Record(f"b{number:05}-{each:02}", vector_of(tag), f"text {number}", {"tag": tag, "word": f"w{tag}"})
        for each in range(size)
    ]


def numbers(ids: list[str], size: int = 20) -> set[int]:
    """Return the numbers of the batches that are stored, each of them whole."""
    assert len(ids) == len(set(ids))
    found = Counter(int(id_[1:6]) for id_ in ids)
    assert set(found.values()) <= {size}
    return set(found)


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


def checked_answer(store: VectorStore, tag: int, k: int = 5) -> None:
    """Search, and make sure that the answer is to this question."""
    hits = store.search(vector_of(tag), k=k)
    assert tags(hits) == [tag % TAGS] * k


def tags(hits: Iterable[Hit]) -> list[int]:
    return [hit.metadata["tag"] for hit in hits if hit.metadata]


def proxy_of(url: str) -> Proxy:
    """Return a proxy before a server."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return Proxy(parts.hostname, parts.port)
