"""What a sample holds, and the comparison of a peer's answers with ours."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecstore import VectorStore

from .records import COUNT, IDS, NEAREST, QUERY_VECTORS, TEXTS, VECTORS

SAMPLES = Path(__file__).parent / "samples"


def read_script(name: str) -> str:
    return gzip.decompress((SAMPLES / f"{name}.sql.gz").read_bytes()).decode()


def read_nearest(name: str) -> Mapping[str, Sequence[Sequence[str]]]:
    found: Mapping[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    nearest: Mapping[str, Sequence[Sequence[str]]] = found["nearest"]
    return nearest


def check_nearest(store: VectorStore, nearest: Sequence[Sequence[str]]) -> None:
    """The peer's ten nearest records of 100 queries are ours, in its order."""
    assert len(nearest) == len(QUERY_VECTORS) == 100
    ours = [[hit.id for hit in hits] for hits in store.search_many(QUERY_VECTORS, k=NEAREST, exact=True)]
    assert ours == [list(each) for each in nearest]


def check_records(
    store: VectorStore,
    metadata: Sequence[Mapping[str, Any]],
    ids: Sequence[str] = IDS,
    texts: Sequence[str | None] = TEXTS,
    *,
    is_scaled: bool = False,
) -> None:
    """Every record is there as the peer had it, or with its vector scaled."""
    assert store.count() == COUNT
    for number, record in enumerate(store.get(ids)):
        assert record is not None
        assert record.text == texts[number]
        wanted = np.asarray(VECTORS[number], np.float32)
        if is_scaled:
            found = np.asarray(record.vector)
            assert np.allclose(found / np.linalg.norm(found), wanted / np.linalg.norm(wanted), atol=1e-6)
        else:
            assert np.array_equal(np.asarray(record.vector), wanted)
        assert record.metadata == {key: value for key, value in metadata[number].items() if value is not None}
        assert {key: type(value) for key, value in record.metadata.items()} == {
            key: type(value) for key, value in metadata[number].items() if value is not None
        }


def refusing(error: type[Exception], message: str) -> pytest.RaisesExc[Exception]:
    """The block raises an error whose message has these words."""
    return pytest.raises(error, match=re.escape(message))
