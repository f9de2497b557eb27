"""vecstore on Redis."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

import vecstore

from ..corpus import Corpus
from .redis_namespace import RedisNamespace
from .vecstore_served import VecstoreServed


class VecstoreRedis(RedisNamespace, VecstoreServed):
    """An indexed store in a namespace of its own."""

    title = "vecstore on Redis"
    namespace = "vecstore_bench_ours"

    def load(self, corpus: Corpus) -> None:
        """Insert all records into an empty namespace."""
        self.clear()
        super().load(corpus)

    def _connect(self) -> None:
        parts = urlsplit(self.url)
        parameters = {**dict(parse_qsl(parts.query)), "namespace": self.namespace}
        self._database = vecstore.connect(parts._replace(query=urlencode(parameters)).geturl())
