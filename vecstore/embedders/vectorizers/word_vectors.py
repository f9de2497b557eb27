"""Vectors of words: learned from texts by gensim, or taken from word2vec, GloVe and fastText; a text is their mean.

Smooth inverse frequency (SIF) weighs a word with ``a / (a + p)``, where ``p`` is how frequent it is, and removes the
direction that all texts share (Arora, Liang and Ma, 2017).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InvalidArgument, InvalidVector, ModelDamaged
from ..base import OnUnknown, Role, check_whole
from .saved_model import Arrays, SavedModel
from .terms import Analyzer
from .vectorizer import Vectorizer, check_dim
from .word_pieces import check_ngrams, cut_pieces, hash_piece
from .word_training import learn_words, list_counts

_A = 1e-3
_POOLINGS = ("mean", "sif")
_MOST_SAMPLED = 10_000


class WordVectors(Vectorizer[str]):
    """Embed a text as the mean of the vectors of its words.

    `fit` learns them from texts (Word2Vec, or fastText with ``buckets``) with gensim, extra ``gensim``. To embed takes
    numpy alone.

    Parameters
    ----------
    dim : int
    pooling : {"sif", "mean"}
        Whether frequent words count less and what all texts share is removed.
    buckets : int, optional
        Learn vectors of pieces of words too, in so many rows, so that a word that nobody learned gets a vector from its
        pieces (fastText).
    ngrams : tuple of int
        The shortest and the longest piece.
    lowercase : bool
    window, min_count, epochs : int
        Of the training: words on each side, how often a word must appear, passes over the texts.
    name : str
    normalize : bool
    batch_size : int
    on_unknown : {"error", "skip"}
        Whether a text without a known word is refused, or gets no vector.
    """

    kind = "word-vectors"
    libraries = ("numpy", "gensim")

    def __init__(
        self,
        dim: int = 100,
        *,
        pooling: str = "sif",
        buckets: int | None = None,
        ngrams: Sequence[int] = (3, 6),
        lowercase: bool = True,
        window: int = 5,
        min_count: int = 5,
        epochs: int = 5,
        name: str = "own",
        normalize: bool = True,
        batch_size: int = 256,
        on_unknown: OnUnknown = "error",
    ) -> None:
        super().__init__(name=name, normalize=normalize, batch_size=batch_size, on_unknown=on_unknown)
        check_dim(check_whole("dim", dim, 2), "dimensions in dim=")
        if pooling not in _POOLINGS:
            raise InvalidArgument(f"pooling must be 'mean' or 'sif', not {pooling!r}.")
        self._pooling = pooling
        self._buckets = None if buckets is None else check_whole("buckets", buckets)
        self._ngrams = check_ngrams(ngrams)
        self._analyzer = Analyzer.make("word", (1, 1), lowercase)
        self._training = {
            "window": check_whole("window", window),
            "min_count": check_whole("min_count", min_count),
            "epochs": check_whole("epochs", epochs),
        }
        self._index: dict[str, int] = {}
        self._table = np.empty((0, dim), np.float32)
        self._weights = np.empty(0, np.float32)
        self._common = np.zeros(dim, np.float32)
        self._pieces = np.empty((0, dim), np.float32)
        self._is_given = False

    @classmethod
    def from_table(
        cls,
        words: Sequence[str],
        vectors: ArrayLike,
        *,
        counts: Sequence[int] | None = None,
        texts: Iterable[str] = (),
        pooling: str = "mean",
        lowercase: bool = True,
        name: str = "own",
        normalize: bool = True,
        on_unknown: OnUnknown = "error",
    ) -> WordVectors:
        """Return the embedder of words with vectors that something else learned.

        Parameters
        ----------
        words : sequence of str
        vectors : array_like, shape (len(words), dim)
        counts : sequence of int, optional
            How often each word appears; ``pooling="sif"`` needs it.
        texts : iterable of str
            What ``pooling="sif"`` finds the direction in that texts share. Without texts it removes none.
        pooling, lowercase, name, normalize, on_unknown
            See the class.

        Raises
        ------
        InvalidArgument, InvalidVector
        """
        table = np.array(vectors, np.float32)
        listed = list(words)
        if table.ndim != 2 or len(table) != len(listed) or not listed or not np.isfinite(table).all():
            raise InvalidVector(f"{len(listed)} words take a finite table of as many rows, not one of {table.shape}.")
        if pooling == "sif" and counts is None:
            raise InvalidArgument("pooling='sif' needs counts, how often each word appears. Or use pooling='mean'.")
        made = cls(
            table.shape[1], pooling=pooling, lowercase=lowercase, name=name, normalize=normalize, on_unknown=on_unknown
        )
        made._take_over(listed, table, counts)
        return made.fit(list(texts) or made._find_examples())

    @classmethod
    def from_gensim(
        cls,
        vectors: Any,
        *,
        texts: Iterable[str] = (),
        pooling: str = "mean",
        lowercase: bool = True,
        name: str = "own",
        normalize: bool = True,
        on_unknown: OnUnknown = "error",
    ) -> WordVectors:
        """Return the embedder of gensim's ``KeyedVectors``: word2vec, GloVe, and fastText with its pieces of words.

        Load them with gensim, from a file that you trust: some of its formats are pickles, which vecstore never reads.

        Parameters
        ----------
        vectors : gensim.models.KeyedVectors
        texts, pooling, lowercase, name, normalize, on_unknown
            As in `from_table`.

        Raises
        ------
        InvalidArgument, InvalidVector
        """
        words, table = getattr(vectors, "index_to_key", None), getattr(vectors, "vectors", None)
        if words is None or table is None:
            raise InvalidArgument(
                f"vectors must be gensim's KeyedVectors, not {type(vectors).__name__}; pass model.wv."
            )
        counts = list_counts(vectors) if "count" in getattr(vectors, "expandos", {}) else None
        if pooling == "sif" and counts is None:
            raise InvalidArgument("pooling='sif' needs counts, which these vectors do not have. Use pooling='mean'.")
        pieces = getattr(vectors, "vectors_ngrams", None)
        made = cls(
            table.shape[1],
            pooling=pooling,
            buckets=None if pieces is None else len(pieces),
            ngrams=(3, 6) if pieces is None else (vectors.min_n, vectors.max_n),
            lowercase=lowercase,
            name=name,
            normalize=normalize,
            on_unknown=on_unknown,
        )
        made._take_over(list(words), np.array(table, np.float32), counts)
        if pieces is not None:
            made._pieces = np.array(pieces, np.float32)
        return made.fit(list(texts) or made._find_examples())

    def get_vector(self, word: str) -> NDArray[np.float32] | None:
        """Return the vector of a word as it was learned, from its pieces if need be, or None if nothing is known."""
        place = self._index.get(word)
        if place is not None:
            return np.asarray(self._table[place], np.float32)
        if not len(self._pieces):
            return None
        rows = [hash_piece(piece) % len(self._pieces) for piece in cut_pieces(word, *self._ngrams)]
        return np.asarray(self._pieces[rows].mean(axis=0), np.float32) if rows else None

    def _params(self) -> dict[str, Any]:
        return {
            "dim": self._table.shape[1],
            "pooling": self._pooling,
            "buckets": self._buckets,
            "ngrams": list(self._ngrams),
            "lowercase": self._analyzer.lowercase,
            **self._training,
            "name": self._model,
            "normalize": self._normalize,
            "on_unknown": self._on_unknown,
        }

    def _fit(self, items: list[str], seed: int) -> None:
        if not self._is_given:
            self._learn(items, seed)
        if self._pooling == "sif":
            pooled = self._pool(items[:_MOST_SAMPLED])
            pooled = pooled[np.abs(pooled).any(axis=1)]
            if self._is_given and len(pooled) <= len(self._canary_words()):
                return  # words alone share no direction of texts
            _, _, axes = np.linalg.svd(pooled.astype(np.float64), full_matrices=False)
            self._common = axes[0].astype(np.float32)

    def _learn(self, items: list[str], seed: int) -> None:
        sentences = [self._analyzer.split(text) for text in items]
        found = learn_words(
            sentences, self._table.shape[1], buckets=self._buckets, ngrams=self._ngrams, seed=seed, **self._training
        )
        self._take_over(found.words, found.table, found.counts)
        self._is_given = False
        if found.pieces is not None:
            self._pieces = found.pieces

    def _take_over(self, words: list[str], table: NDArray[np.float32], counts: Sequence[int] | None) -> None:
        self._index = {word: number for number, word in enumerate(words)}
        if len(self._index) < len(words) or any(type(word) is not str for word in words):
            raise InvalidArgument("The words of a table are of the type str, and none is there twice.")
        self._table = np.array(table, np.float32)
        self._native_dim = self._table.shape[1]
        self._weights = np.ones(len(words), np.float32)
        if counts is not None and self._pooling == "sif":
            shares = np.array(counts, np.float64)
            if shares.shape != (len(words),) or not (shares > 0).all():
                raise InvalidArgument(f"{len(words)} words take as many counts above 0.")
            self._weights = (_A / (_A + shares / shares.sum())).astype(np.float32)
        self._is_given = True

    def _find_examples(self) -> list[str]:
        found = self._canary_words()
        if not found:
            raise InvalidArgument("No word of the table is one as texts are cut into words; see lowercase.")
        return found

    def _canary_words(self) -> list[str]:
        found: list[str] = []
        for word in self._index:
            if self._analyzer.split(word) == [word] and np.abs(self._table[self._index[word]]).any():
                found.append(word)
            if len(found) == 6:
                break
        return found

    def _choose_canaries(self) -> Sequence[str]:
        return self._canary_words()

    def _encode(self, items: list[str], role: Role, /) -> NDArray[np.float32]:
        rows = self._pool(items)
        return rows - np.outer(rows @ self._common, self._common) if self._common.any() else rows

    def _pool(self, items: list[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(items), self._table.shape[1]), np.float32)
        for row, text in zip(rows, items, strict=True):
            words = self._analyzer.split(text)
            places = [place for word in words if (place := self._index.get(word)) is not None]
            total = self._weights[places] @ self._table[places]
            count = len(places)
            if count < len(words) and len(self._pieces):
                # A word that was never seen is rare, so it counts in full.
                others = [self.get_vector(word) for word in words if word not in self._index]
                known = [vector for vector in others if vector is not None]
                total = total + np.sum(known, axis=0) if known else total
                count += len(known)
            if count:
                row[:] = total / count
        return rows

    def _take_apart(self) -> tuple[Sequence[str], Arrays]:
        arrays = {"vectors": self._table, "weights": self._weights, "common": self._common}
        return list(self._index), arrays if self._buckets is None else {**arrays, "pieces": self._pieces}

    def _put_together(self, model: SavedModel) -> None:
        words = model.check_vocabulary(str)
        dim = self._native_dim = self._table.shape[1]
        shapes = {"vectors": (len(words), dim), "weights": (len(words),), "common": (dim,)}
        if self._buckets is not None:
            shapes["pieces"] = (self._buckets, dim)
        self._table, self._weights, self._common, *pieces = model.take(shapes)
        if pieces:
            self._pieces = pieces[0]
        if not words:
            raise ModelDamaged("A model of word vectors has no words.")
        self._index = {word: number for number, word in enumerate(words)}
