"""The stored rows and the queries: every subject gets the same Python objects, read from the same files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One record, as stored and as it has to be returned; libraries without rows know ids only."""

    id: str
    text: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Corpus:
    """Rows with their vectors: ids, texts and metadata are lists, vectors a float32 array of unit vectors."""

    ids: list[str]
    vectors: Vectors
    texts: list[str]
    metadata: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Components of a vector."""
        return int(self.vectors.shape[1])

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each id."""
        return {id_: place for place, id_ in enumerate(self.ids)}

    def row(self, place: int) -> Row:
        """Return one row without its vector."""
        return Row(self.ids[place], self.texts[place], self.metadata[place])

    def take(self, places: NDArray[np.intp]) -> Corpus:
        """Return some of the rows."""
        return Corpus(
            [self.ids[place] for place in places],
            np.ascontiguousarray(self.vectors[places]),
            [self.texts[place] for place in places],
            [self.metadata[place] for place in places],
        )

    def save(self, folder: Path) -> None:
        """Write the rows where `load` finds them."""
        folder.mkdir(parents=True)
        np.save(folder / "vectors.npy", self.vectors)
        with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
            for row in zip(self.ids, self.texts, self.metadata, strict=True):
                file.write(json.dumps(row) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Read rows into memory: what `save` wrote."""
        corpus = cls([], np.load(folder / "vectors.npy"), [], [])
        with (folder / "rows.jsonl").open(encoding="utf-8") as file:
            for line in file:
                id_, text, metadata = json.loads(line)
                corpus.ids.append(id_)
                corpus.texts.append(text)
                corpus.metadata.append(metadata)
        return corpus


def split(corpus: Corpus, queries: int, seed: int) -> tuple[Corpus, Corpus]:
    """Return the rows to store, and randomly drawn rows held out as queries."""
    order = np.random.default_rng(seed).permutation(len(corpus))
    return corpus.take(order[queries:]), corpus.take(order[:queries])


def add_noisy_copies(corpus: Corpus, scale: int, sigma: float, seed: int) -> Corpus:
    """Return a corpus `scale` times as large: the rows, and copies of them with noise in each component."""
    generator = np.random.default_rng(seed)
    vectors = np.empty((scale * len(corpus), corpus.dim), np.float32)
    ids = list(corpus.ids)
    vectors[: len(corpus)] = corpus.vectors
    for copy in range(1, scale):
        noise = generator.standard_normal(corpus.vectors.shape, np.float32)
        vectors[copy * len(corpus) : (copy + 1) * len(corpus)] = normalize(corpus.vectors + np.float32(sigma) * noise)
        ids += [f"{id_}~{copy}" for id_ in corpus.ids]
    return Corpus(ids, vectors, corpus.texts * scale, corpus.metadata * scale)


def normalize(vectors: NDArray[Any]) -> Vectors:
    """Return vectors of length 1 in float32, so that cosine and inner product order alike."""
    single = np.asarray(vectors, np.float32)
    lengths: Vectors = np.linalg.norm(single, axis=1, keepdims=True).astype(np.float32)
    return single / lengths
