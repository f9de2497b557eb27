"""A place on PostgreSQL whose stores a Milvus server follows from 32 records on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import psycopg

from vecstore.backends.milvus.client import MilvusClient
from vecstore.backends.milvus.collection import Collection
from vecstore.backends.milvus.fields import CollectionLayout
from vecstore.backends.milvus.options import parse_milvus_url
from vecstore.metric import Metric
from vecstore.testing import RawIndex

from .namespaces import Namespaces
from .places import PostgresPlace


class MilvusPlace(PostgresPlace):
    """A namespace, and a server of Milvus that others use too.

    Parameters
    ----------
    server, min_rows, namespaces
        As for `PostgresPlace`.
    milvus : str
        The other server's URL.
    """

    def __init__(self, server: str, milvus: str, min_rows: int = 32, namespaces: Namespaces | None = None) -> None:
        super().__init__(server, min_rows, namespaces)
        self._milvus = milvus

    @property
    def url(self) -> str:
        return f"{super().url}&vectors={quote(self._milvus, safe='')}"

    def indexes(self, store: str) -> Sequence[RawIndex]:
        with psycopg.connect(self.server) as link:
            generation, _ = self._active(link, store)
            rows = self._select(link, "SELECT generation, plan FROM {}.{} WHERE plan IS NOT NULL", "vecstore_follower")
        plans: list[Mapping[str, Any]] = [plan for owner, plan in rows if owner == generation]
        return [RawIndex(plan["params"]["M"], plan["params"]["efConstruction"]) for plan in plans]

    def close(self) -> None:
        with psycopg.connect(self.server) as link:
            rows = self._select(link, "SELECT collection, incoming FROM {}.{}", "vecstore_follower")
            rows += self._select(link, "SELECT collection, NULL FROM {}.{}", "vecstore_follower_left")
        names = [name for row in rows for name in row if name is not None]
        if names:
            client = MilvusClient(parse_milvus_url(self._milvus))
            for name in names:
                Collection(client, name, CollectionLayout(1, Metric.COSINE, {})).drop()
            client.close()
        super().close()
