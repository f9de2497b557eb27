"""The training by gensim: vectors of words with Word2Vec or fastText, and of texts with Doc2Vec."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument, MissingExtra


@dataclass(frozen=True, eq=False)
class LearnedWords:
    """What a training found.

    Parameters
    ----------
    words : list of str
        The most frequent first.
    table : ndarray, shape (n, dim), float32
    counts : list of int
    pieces : ndarray, shape (buckets, dim), float32, or None
    """

    words: list[str]
    table: NDArray[np.float32]
    counts: list[int]
    pieces: NDArray[np.float32] | None


def learn_words(
    sentences: list[list[str]],
    dim: int,
    *,
    buckets: int | None,
    ngrams: Sequence[int],
    seed: int,
    window: int,
    min_count: int,
    epochs: int,
) -> LearnedWords:
    """Learn vectors from texts that are cut into words. The same texts and the same seed give the same vectors.

    Raises
    ------
    InvalidArgument
        No word appears ``min_count`` times.
    MissingExtra
    """
    try:
        from gensim.models import FastText, Word2Vec
    except ImportError as error:
        raise MissingExtra("gensim", "gensim") from error
    # One worker and a hash of our own: threads change the order, and Python's hash differs between processes.
    options: dict[str, Any] = {
        "vector_size": dim, "window": window, "min_count": min_count, "epochs": epochs, "sg": 1, "workers": 1,
        "seed": seed, "hashfxn": hash_word,
    }  # fmt: skip
    try:
        if buckets is None:
            vectors = Word2Vec(sentences, **options).wv
        else:
            vectors = FastText(sentences, bucket=buckets, min_n=ngrams[0], max_n=ngrams[1], **options).wv
    except RuntimeError as error:
        raise InvalidArgument(
            f"No word appears {min_count} times in these {len(sentences)} texts. Lower min_count."
        ) from error
    words = list(vectors.index_to_key)
    pieces = None if buckets is None else np.array(vectors.vectors_ngrams, np.float32)
    counts = [int(vectors.get_vecattr(word, "count")) for word in words]
    return LearnedWords(words, np.array(vectors.vectors, np.float32), counts, pieces)


@dataclass(frozen=True, eq=False)
class LearnedTexts:
    """What a training of texts found: how a text's vector tells its words from others.

    Parameters
    ----------
    words : list of str
        The most frequent first.
    table : ndarray, shape (n, dim), float32
        Each word's weights behind the vector of a text.
    counts : list of int
    """

    words: list[str]
    table: NDArray[np.float32]
    counts: list[int]


def learn_texts(
    sentences: list[list[str]], dim: int, *, seed: int, min_count: int, epochs: int, negative: int
) -> LearnedTexts:
    """Learn from texts that are cut into words. The same texts and the same seed give the same weights.

    Raises
    ------
    InvalidArgument
        No word appears ``min_count`` times.
    MissingExtra
    """
    try:
        from gensim.models.doc2vec import Doc2Vec, TaggedDocument
    except ImportError as error:
        raise MissingExtra("gensim", "gensim") from error
    try:
        model = Doc2Vec(
            [TaggedDocument(words, [number]) for number, words in enumerate(sentences)],
            vector_size=dim, min_count=min_count, epochs=epochs, negative=negative, dm=0, workers=1, seed=seed,
            hashfxn=hash_word,
        )  # fmt: skip
    except RuntimeError as error:
        raise InvalidArgument(
            f"No word appears {min_count} times in these {len(sentences)} texts. Lower min_count."
        ) from error
    words = list(model.wv.index_to_key)
    counts = [int(model.wv.get_vecattr(word, "count")) for word in words]
    return LearnedTexts(words, np.array(model.syn1neg, np.float32), counts)


def hash_word(word: str) -> int:
    """Return a hash that is the same in each process."""
    return zlib.crc32(word.encode())
