"""Fill a Redis server with redisvl and langchain-redis, in an environment that has both, and make the sample of them.

    python -m tests.importers.samples.make_redis URL [keep]

URL is an empty server with its query engine and JSON. The ids of the libraries' own ten nearest records of each query
are printed; with ``keep``, ``redis.json.gz`` and ``redis.json`` are made: the commands that made the indexes and what
is under each key, byte by byte, and versions and answers.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import redis
from langchain_core.embeddings import Embeddings
from langchain_redis import RedisConfig, RedisVectorStore  # type: ignore[import-not-found]
from redisvl.index import SearchIndex  # type: ignore[import-not-found]
from redisvl.query import VectorQuery  # type: ignore[import-not-found]

from tests.importers.records import DIM, IDS, NEAREST, QUERY_VECTORS, TEXTS, VECTORS, make_metadata

FOLDER = Path(__file__).parent
KEYS = ("lang", "year", "price")


class Recorder(redis.Redis):
    """Remembers the commands that make indexes."""

    made: ClassVar[list[list[Any]]] = []

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        if arguments[0] == "FT.CREATE":
            self.made.append([each if isinstance(each, str) else str(each) for each in arguments])
        return super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]


class Given(Embeddings):
    """Stands where a model would."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return VECTORS[: len(texts)]

    def embed_query(self, text: str) -> list[float]:
        return VECTORS[0]


def fill_redisvl(client: Recorder, name: str, storage: str, metric: str) -> list[list[str]]:
    fields = [
        {"name": "text", "type": "text"},
        {"name": "lang", "type": "tag"},
        {"name": "year", "type": "numeric"},
        {"name": "price", "type": "numeric"},
        {
            "name": "embedding",
            "type": "vector",
            "attrs": {"dims": DIM, "distance_metric": metric, "algorithm": "flat", "datatype": "float32"},
        },
    ]
    schema = {"index": {"name": name, "prefix": f"{name}[*]?", "storage_type": storage}, "fields": fields}
    index = SearchIndex.from_dict(schema, redis_client=client)
    index.create()
    records = []
    for number, vector in enumerate(VECTORS):
        packed: Any = vector if storage == "json" else np.asarray(vector, np.float32).tobytes()
        values = {key: make_metadata(number)[key] for key in KEYS}
        more = (
            {"nested": {"deep": [1, None]}, "draft": number % 2 == 0}
            if storage == "json"
            else {"note": f"note {number}"}
        )
        records.append({"text": TEXTS[number], "embedding": packed, **values, **more})
    keys = index.load(records, keys=[index.key(id_) for id_ in IDS])
    start = len(keys[1]) - len(IDS[1])
    return [
        [
            hit["id"][start:]
            for hit in index.query(VectorQuery(query, "embedding", num_results=NEAREST, return_fields=["lang"]))
        ]
        for query in QUERY_VECTORS
    ]


def fill_langchain(client: Recorder, name: str) -> list[list[str]]:
    config = RedisConfig(index_name=name, redis_client=client, embedding_dimensions=DIM)
    store = RedisVectorStore(Given(), config=config)
    metadatas = [
        {**{key: make_metadata(number)[key] for key in KEYS}, "tags": ["x", f"y{number}"]} for number in range(len(IDS))
    ]
    store.add_texts(TEXTS, metadatas, keys=IDS)
    return [
        [
            IDS[TEXTS.index(document.page_content)]
            for document, _ in store.similarity_search_with_score_by_vector(query, NEAREST)
        ]
        for query in QUERY_VECTORS
    ]


def main(url: str, keep: str = "") -> None:
    client = Recorder.from_url(url)
    assert isinstance(client, Recorder)
    nearest = {
        "hashes": fill_redisvl(client, "hashes", "hash", "cosine"),
        "documents": fill_redisvl(client, "documents", "json", "l2"),
        "langchain": fill_langchain(client, "langchain"),
    }
    if keep != "keep":
        print(json.dumps(nearest))  # noqa: T201
        return
    kept: list[dict[str, Any]] = []
    reader: Any = redis.Redis.from_url(url)  # redisvl gave the other one parsers of its own
    for key in sorted(reader.scan_iter(count=1_000)):
        if reader.type(key) == b"hash":
            pairs = [[encode(name), encode(value)] for name, value in sorted(reader.hgetall(key).items())]
            kept.append({"key": encode(key), "hash": pairs})
        else:
            kept.append({"key": encode(key), "json": reader.execute_command("JSON.GET", key).decode()})
    with gzip.GzipFile(FOLDER / "redis.json.gz", "wb", mtime=0) as file:
        file.write(json.dumps({"made": Recorder.made, "keys": kept}, ensure_ascii=False).encode())
    versions = {name: version(name) for name in ("redisvl", "langchain-redis", "redis")}
    answers = {"versions": versions, "nearest": nearest}
    (FOLDER / "redis.json").write_text(json.dumps(answers, ensure_ascii=False) + "\n", "utf-8")


def encode(data: Any) -> str:
    return base64.b64encode(data if isinstance(data, bytes) else str(data).encode()).decode()


if __name__ == "__main__":
    main(*sys.argv[1:])
