"""The commands that an expert in Redis's search would write for these records, with redis-py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis
from redis.commands.search.query import Query

from ..condition import GAMES, LARGE, Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import BY_EFFORT, EF_CONSTRUCTION, Loads, M, Setting
from .redis_namespace import RedisNamespace

_FLAT: Mapping[str, str | int] = {}
_GRAPH: Mapping[str, str | int] = {"M": M, "EF_CONSTRUCTION": EF_CONSTRUCTION}
_FIELDS = ("section", "TAG", "size", "NUMERIC")
_BATCH = 1_000
_BATCHES = (500, 1_000, 5_000)
_WHERE: Mapping[str, str] = {
    GAMES.name: f"@{GAMES.field}:{{{GAMES.value}}}",
    LARGE.name: f"@{LARGE.field}:[({LARGE.value} +inf]",
}
_RETURNED = ("distance", "text", "section", "size")

Found = list[tuple[str, str, dict[str, Any], float]]


class RedisByHand(RedisNamespace):
    """A hash for each record with a field for each value; one command for a search."""

    title = "redis-py by hand"
    package = "redis"
    namespace = "vecstore_bench_by_hand"
    filter_ladders = (({"exact": 1},), BY_EFFORT)
    _index = f"{namespace}:bench"
    _loaded = f"{namespace}:loaded"

    def load(self, corpus: Corpus) -> None:
        """Write all hashes below an index without a graph, many in one round trip."""
        self.clear()
        self.open()
        self._create(self._index, "FLAT", _FLAT)
        self._write(self._index, corpus, _BATCH)
        self._rows = len(corpus)

    def loads(self, corpus: Corpus) -> Loads:
        """Return ways of loading that differ in how much goes into one round trip."""

        def prepare() -> None:
            self._drop(self._loaded, "DD")
            self._create(self._loaded, "FLAT", _FLAT)

        return {
            f"pipelines of {batch:,}": (prepare, lambda batch=batch: self._write(self._loaded, corpus, batch))  # type: ignore[misc]
            for batch in _BATCHES
        }

    def build(self) -> None:
        """Make an index with a graph over the same hashes."""
        self._drop(self._index)
        self._create(self._index, "HNSW", _GRAPH)
        self.wait(self._index, self._rows)

    def open(self) -> None:
        """Connect."""
        self._client: Any = redis.Redis.from_url(self.url, protocol=3, decode_responses=True)

    def tune(self, setting: Setting) -> None:
        """Take ``ef``, or compare with every match."""
        self._how = "HYBRID_POLICY ADHOC_BF" if "exact" in setting else f"EF_RUNTIME {setting['ef']}"

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Found:
        """Send the command as it is, and take what is needed out of the answer."""
        answer: Any = self._client.execute_command(
            "FT.SEARCH", self._index, self._make_query(k, condition), "PARAMS", 2, "query", query.tobytes(),
            "RETURN", len(_RETURNED), *_RETURNED, "SORTBY", "distance", "LIMIT", 0, k, "DIALECT", 2,
        )  # fmt: skip
        start, found = len(self._index) + 1, []
        for hit in answer["results"]:
            kept = hit["extra_attributes"]
            metadata = {"section": kept["section"], "size": int(kept["size"])}
            found.append((hit["id"][start:], kept["text"], metadata, float(kept["distance"])))
        return found

    def rows(self, answer: Found) -> list[Row]:
        """Tuples."""
        return [Row(id_, text, metadata) for id_, text, metadata, _ in answer]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Write one hash."""
        fields = {"vector": vector.tobytes(), "text": row.text or "", **(row.metadata or {})}
        self._client.hset(f"{self._index}:{row.id}", mapping=fields)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def _make_query(self, k: int, condition: Condition | None) -> str:
        where = "*" if condition is None else _WHERE[condition.name]
        return f"{where}=>[KNN {k:d} @vector $query {self._how} AS distance]"

    def _create(self, name: str, kind: str, options: Mapping[str, str | int]) -> None:
        all_options = {"TYPE": "FLOAT32", "DIM": self.dim, "DISTANCE_METRIC": "COSINE", **options}
        words = [word for option in all_options.items() for word in option]
        self._client.execute_command(
            "FT.CREATE", name, "ON", "HASH", "PREFIX", 1, f"{name}:",
            "SCHEMA", "vector", "VECTOR", kind, len(words), *words, *_FIELDS,
        )  # fmt: skip

    def _drop(self, name: str, *options: str) -> None:
        if name in self._client.execute_command("FT._LIST"):
            self._client.execute_command("FT.DROPINDEX", name, *options)

    def _write(self, name: str, corpus: Corpus, batch: int) -> None:
        rows = zip(corpus.ids, corpus.vectors, corpus.texts, corpus.metadata, strict=True)
        with self._client.pipeline(transaction=False) as pipeline:
            for number, (id_, vector, text, row) in enumerate(rows, start=1):
                # Quicker than redis-py's hset().
                pipeline.execute_command(
                    "HSET", f"{name}:{id_}",
                    "vector", vector.tobytes(), "text", text, "section", row["section"], "size", row["size"],
                )  # fmt: skip
                if number % batch == 0:
                    pipeline.execute()
            pipeline.execute()


class RedisByHandFt(RedisByHand):
    """The same with redis-py's own functions for searches."""

    def open(self) -> None:
        """Connect; its documents come with the default protocol, which is RESP3 too."""
        self._client = redis.Redis.from_url(self.url)

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Found:
        """Make a query object, and take what is needed out of the documents."""
        asked = (
            Query(self._make_query(k, condition)).return_fields(*_RETURNED).sort_by("distance").paging(0, k).dialect(2)
        )
        start = len(self._index) + 1
        return [
            (hit.id[start:], hit.text, {"section": hit.section, "size": int(hit.size)}, float(hit.distance))
            for hit in self._client.ft(self._index).search(asked, {"query": query.tobytes()}).docs
        ]
