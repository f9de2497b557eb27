"""Fill a database with langchain-postgres or vecs, in an environment that has it, and make the sample of that.

    python -m tests.importers.samples.make_postgres langchain URL [PG_DUMP]
    python -m tests.importers.samples.make_postgres vecs URL [PG_DUMP]

URL is an empty database with pgvector. Without PG_DUMP, the program of the server's release, the ids of the library's
own ten nearest records of each query are printed; with it, ``NAME.sql.gz`` and ``NAME.json`` are made: the tables as
the library made them, and versions and answers.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.importers.records import DIM, IDS, NEAREST, QUERY_VECTORS, TEXTS, VECTORS, make_metadata, make_nested

FOLDER = Path(__file__).parent


def make_langchain(url: str) -> dict[str, Any]:
    """Fill both layouts."""
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_postgres import Column, PGEngine, PGVector, PGVectorStore  # type: ignore[import-not-found]
    from langchain_postgres.vectorstores import DistanceStrategy  # type: ignore[import-not-found]

    model = DeterministicFakeEmbedding(size=DIM)
    address = f"postgresql+psycopg{url.removeprefix('postgresql')}"
    metadatas = [{**make_metadata(number), **make_nested(number)} for number in range(len(IDS))]
    found: dict[str, Any] = {}
    for name, strategy in (("articles", DistanceStrategy.COSINE), ("by distance", DistanceStrategy.EUCLIDEAN)):
        old = PGVector(model, collection_name=name, connection=address, distance_strategy=strategy)
        # Both collections are in the same table, whose key is the id alone.
        ids = IDS if name == "articles" else [f"l2 {id_}" for id_ in IDS]
        old.add_embeddings(texts=TEXTS, embeddings=VECTORS, metadatas=metadatas, ids=ids)
        found[name] = [
            [document.id for document, _ in old.similarity_search_with_score_by_vector(query, NEAREST)]
            for query in QUERY_VECTORS
        ]
    engine = PGEngine.from_connection_string(address)
    engine.init_vectorstore_table(
        "Pages",
        DIM,
        id_column=Column("langchain_id", "TEXT", nullable=False),
        metadata_columns=[Column("lang", "TEXT"), Column("year", "BIGINT")],
    )
    new = PGVectorStore.create_sync(engine, model, "Pages", metadata_columns=["lang", "year"])
    new.add_embeddings(TEXTS, VECTORS, metadatas, IDS)
    found["Pages"] = [
        [document.id for document, _ in new.similarity_search_with_score_by_vector(query, NEAREST)]
        for query in QUERY_VECTORS
    ]
    asyncio.run(engine.close())
    return found


def make_vecs(url: str) -> dict[str, Any]:
    """Fill a collection, and one with an index and another measure."""
    import vecs  # type: ignore[import-not-found]

    found: dict[str, Any] = {}
    client = vecs.create_client(url)
    for name, measure in (("docs", "cosine_distance"), ("by_product", "max_inner_product")):
        collection = client.get_or_create_collection(name, dimension=DIM)
        collection.upsert(
            [
                (IDS[number], VECTORS[number], {"text": TEXTS[number], **make_metadata(number), **make_nested(number)})
                for number in range(len(IDS))
            ],
            skip_adapter=True,
        )
        if name == "by_product":
            collection.create_index(vecs.IndexMeasure(measure), vecs.IndexMethod.hnsw)
        found[name] = [
            collection.query(query, limit=NEAREST, measure=measure, skip_adapter=True, ef_search=400)
            for query in QUERY_VECTORS
        ]
    client.disconnect()
    return found


MAKERS = {
    "langchain": (make_langchain, ["langchain-postgres", "langchain-core"]),
    "vecs": (make_vecs, ["vecs", "sqlalchemy"]),
}


def main(name: str, url: str, dump: str | None = None) -> None:
    make, packages = MAKERS[name]
    nearest = make(url)
    if dump is None:
        print(json.dumps(nearest))  # noqa: T201
        return
    command = [dump, "--inserts", "--rows-per-insert=50", "--no-owner", "--no-privileges", "--exclude-extension=*", url]
    script = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line for line in script.splitlines() if not line.startswith(("\\", "--")) and line]
    answers = {"versions": {each: version(each) for each in packages}, "nearest": nearest}
    with gzip.GzipFile(FOLDER / f"{name}.sql.gz", "wb", mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    (FOLDER / f"{name}.json").write_text(json.dumps(answers, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
