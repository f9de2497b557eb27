"""Fill a library's own place, import it, and compare: run in an environment that has the library and vecstore.

python -m tests.importers.live NAME FOLDER
"""

from __future__ import annotations

import dataclasses
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore.importers import ChromaCollection, ImportSource, LancedbTable, QdrantCollection, import_records

from .answers import check_nearest, check_records
from .records import COUNT, DIM, IDS, NEAREST, QUERY_VECTORS, TEXTS, VECTORS, make_metadata, make_nested

Made = tuple[ImportSource, str, list[list[str]], list[dict[str, Any]], list[str]]


def make_chroma(folder: Path) -> Made:
    import chromadb

    client = chromadb.PersistentClient(str(folder / "chroma"), settings=chromadb.Settings(anonymized_telemetry=False))
    hnsw = {"space": "cosine", "ef_search": 400, "sync_threshold": 100, "batch_size": 50}
    collection = client.create_collection("docs", embedding_function=None, configuration={"hnsw": hnsw})
    metadata = [make_metadata(number) for number in range(COUNT)]
    collection.upsert(ids=IDS, embeddings=np.asarray(VECTORS, np.float32), documents=TEXTS, metadatas=metadata)
    found = collection.query(query_embeddings=np.asarray(QUERY_VECTORS, np.float32), n_results=NEAREST, include=[])
    client.close()
    return ChromaCollection(folder / "chroma", "docs"), "cosine", found["ids"], metadata, IDS


def make_lancedb(folder: Path) -> Made:
    import lancedb
    import pyarrow as pa

    metadata = [{**make_metadata(number), **make_nested(number)} for number in range(COUNT)]
    table = pa.table(
        {
            "key": IDS,
            "text": TEXTS,
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(VECTORS), pa.float32()), DIM),
            **{name: [each[name] for each in metadata] for name in metadata[0]},
        }
    )
    made = lancedb.connect(folder / "lance").create_table("docs", table)
    made.delete("key = 'nobody'")
    nearest = [
        [
            row["key"]
            for row in made.search(query, vector_column_name="embedding").distance_type("l2").limit(NEAREST).to_list()
        ]
        for query in QUERY_VECTORS
    ]
    return LancedbTable(folder / "lance", "docs", id="key"), "l2", nearest, metadata, IDS


def make_qdrant(folder: Path) -> Made:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(folder / "qdrant"))
    client.create_collection("docs", vectors_config=models.VectorParams(size=DIM, distance=models.Distance.DOT))
    ids = [number if number % 2 else str(uuid.UUID(int=number + 1)) for number in range(COUNT)]
    metadata = [{**make_metadata(number), **make_nested(number)} for number in range(COUNT)]
    client.upsert(
        "docs",
        [
            models.PointStruct(
                id=ids[number],
                vector=VECTORS[number],
                payload={"page_content": TEXTS[number], "metadata": metadata[number]},
            )
            for number in range(COUNT)
        ],
    )
    nearest = [
        [str(point.id) for point in client.query_points("docs", query=query, limit=NEAREST).points]
        for query in QUERY_VECTORS
    ]
    client.close()
    source = QdrantCollection(folder / "qdrant", "docs", text="page_content", metadata="metadata")
    return source, "ip", nearest, metadata, [str(each) for each in ids]


MAKERS: dict[str, Callable[[Path], Made]] = {"chroma": make_chroma, "lancedb": make_lancedb, "qdrant": make_qdrant}


def main(name: str, place: str) -> None:
    folder = Path(place)
    source, metric, nearest, metadata, ids = MAKERS[name](folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    with vecstore.connect(f"file:{folder / 'kb'}") as database:
        asked = None if name in {"chroma", "qdrant"} else metric
        for _ in range(2):
            done = import_records(database, "docs", source, metric=asked)
            assert (done.records, done.metric, done.left_out) == (COUNT, metric, ()), done
        store = database.open("docs")
        check_records(store, metadata, ids, is_scaled=name == "chroma")
        check_nearest(store, nearest)
        with pytest.raises(vecstore.InvalidArgument, match="'doc'"):
            import_records(database, "other", dataclasses.replace(source, name="doc"))  # type: ignore[type-var]
        if isinstance(source, QdrantCollection):
            with pytest.raises(vecstore.BackendUnavailable):
                import_records(database, "other", dataclasses.replace(source, place="http://127.0.0.1:1?api_key=hush"))
        assert database.names() == ["docs"]
    after = {path: path.stat().st_mtime_ns for path in before}
    assert before == after, "the source was written"
    print(f"{name}: {done.records} records", *done.notes, sep="; ")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
