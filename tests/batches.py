"""Batches of records that are stored whole or not at all, and searches whose answers name their question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vecstore import HNSW, Flat, Hit, Record, Schema, VectorStore, fields

DIM = 16
TAGS = 16


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


def checked_answer(store: VectorStore, tag: int, k: int = 5) -> None:
    """Search, and make sure that the answer is to this question."""
    hits = store.search(vector_of(tag), k=k)
    assert tags(hits) == [tag % TAGS] * k


def tags(hits: Iterable[Hit]) -> list[int]:
    return [hit.metadata["tag"] for hit in hits if hit.metadata]
