"""The training by gensim: vectors of words with Word2Vec or fastText, and of texts with Doc2Vec."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        Each word's vector, or its weights behind the vector of a text.
    counts : list of int
    pieces : ndarray, shape (buckets, dim), float32, or None
        Vectors of pieces of words.
    """

    words: list[str]
    table: NDArray[np.float32]
    counts: list[int]
    pieces: NDArray[np.float32] | None = None


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
    with _refuse_rare_words(sentences, min_count):
        if buckets is None:
            vectors = Word2Vec(sentences, **options).wv
        else:
            vectors = FastText(sentences, bucket=buckets, min_n=ngrams[0], max_n=ngrams[1], **options).wv
    pieces = None if buckets is None else np.array(vectors.vectors_ngrams, np.float32)
    table = np.array(vectors.vectors, np.float32)
    return LearnedWords(list(vectors.index_to_key), table, list_counts(vectors), pieces)


def learn_texts(
    sentences: list[list[str]], dim: int, *, seed: int, min_count: int, epochs: int, negative: int
) -> LearnedWords:
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
    with _refuse_rare_words(sentences, min_count):
        model = Doc2Vec(
            [TaggedDocument(words, [number]) for number, words in enumerate(sentences)],
            vector_size=dim, min_count=min_count, epochs=epochs, negative=negative, dm=0, workers=1, seed=seed,
            hashfxn=hash_word,
        )  # fmt: skip
    return LearnedWords(list(model.wv.index_to_key), np.array(model.syn1neg, np.float32), list_counts(model.wv))


@contextmanager
def _refuse_rare_words(sentences: list[list[str]], min_count: int) -> Iterator[None]:
    """Let a training say what to do where gensim is left without a word."""
    try:
        yield
    except RuntimeError as error:
        raise InvalidArgument(
            f"No word appears {min_count} times in these {len(sentences)} texts. Lower min_count."
        ) from error


def list_counts(vectors: Any) -> list[int]:
    """Return how often each word of gensim's ``KeyedVectors`` appeared, in their order."""
    return [int(vectors.get_vecattr(word, "count")) for word in vectors.index_to_key]


def hash_word(word: str) -> int:
    """Return a hash that is the same in each process."""
    return zlib.crc32(word.encode())
