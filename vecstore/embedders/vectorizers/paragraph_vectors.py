"""Vectors of whole texts, learned from which words they have: Doc2Vec, in its form without an order of words.

A text's vector is the one from which its words are told best from random words (PV-DBOW with negative sampling, Le and
Mikolov, 2014). gensim looks for it in random steps, so that one text has another vector each time. Here the random
words are expected ones, and a small ridge makes the answer unique: Newton's method finds it, the same each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument, InvalidVector, ModelDamaged
from ..base import OnUnknown, Role, check_whole
from .logistic import squash
from .saved_model import Arrays, SavedModel
from .terms import Analyzer
from .vectorizer import Vectorizer, check_dim
from .word_training import LearnedWords, learn_texts, list_counts

_NOISE = 512
"""Random words, drawn evenly over their distribution. More of them change cosines by less than 0.01."""
_POWER = 0.75
_RIDGE = 3.0
"""With it 1,225 pairs of news articles agree with people at 0.43; with 1 or 10 at 0.38. Vectors are as near to those of
gensim, with small steps, as 0.93 to 0.96."""
_ROUNDS = 20
_SMALL = 1e-6
_CANARIES = 6


class Doc2Vec(Vectorizer[str]):
    """Embed a text as the vector that explains its words best.

    `fit` learns what words say with gensim, extra ``gensim``. To embed takes numpy alone, and one text always has the
    same vector.

    Parameters
    ----------
    dim : int
    lowercase : bool
    min_count, epochs, negative : int
        Of the training: how often a word must appear, passes over the texts, random words for each word.
    name : str
    normalize : bool
    batch_size : int
    on_unknown : {"error", "skip"}
        Whether a text without a known word is refused, or gets no vector.
    """

    kind = "doc2vec"
    libraries = ("numpy", "gensim")

    def __init__(
        self,
        dim: int = 100,
        *,
        lowercase: bool = True,
        min_count: int = 5,
        epochs: int = 20,
        negative: int = 5,
        name: str = "own",
        normalize: bool = True,
        batch_size: int = 256,
        on_unknown: OnUnknown = "error",
    ) -> None:
        super().__init__(name=name, normalize=normalize, batch_size=batch_size, on_unknown=on_unknown)
        check_dim(check_whole("dim", dim, 2), "dimensions in dim=")
        self._analyzer = Analyzer.make("word", (1, 1), lowercase)
        self._training = {
            "min_count": check_whole("min_count", min_count),
            "epochs": check_whole("epochs", epochs),
            "negative": check_whole("negative", negative),
        }
        self._width = dim
        self._index: dict[str, int] = {}
        self._table = np.empty((0, dim), np.float32)
        self._counts = np.empty(0, np.float32)
        self._noise = np.empty((0, dim), np.float64)
        self._shares = np.empty(0, np.float64)
        self._given: LearnedWords | None = None

    @classmethod
    def from_gensim(
        cls,
        model: Any,
        *,
        lowercase: bool = True,
        name: str = "own",
        normalize: bool = True,
        on_unknown: OnUnknown = "error",
    ) -> Doc2Vec:
        """Return the embedder of a ``gensim.models.Doc2Vec`` that learned with ``dm=0`` and negative sampling.

        Load it with gensim, from a file that you trust: its format is a pickle, which vecstore never reads.

        Parameters
        ----------
        model : gensim.models.Doc2Vec
        lowercase, name, normalize, on_unknown
            See the class.

        Raises
        ------
        InvalidArgument, InvalidVector
        """
        words = getattr(getattr(model, "wv", None), "index_to_key", None)
        table = getattr(model, "syn1neg", None)
        if words is None or table is None or getattr(model, "dm", None):
            raise InvalidArgument(
                "model must be a gensim.models.Doc2Vec that was trained with dm=0 and negative sampling, whose words "
                f"alone make the vector of a text; this is {type(model).__name__}."
            )
        made = cls(
            table.shape[1], lowercase=lowercase, negative=int(model.negative), min_count=max(1, int(model.min_count)),
            epochs=int(model.epochs), name=name, normalize=normalize, on_unknown=on_unknown,
        )  # fmt: skip
        made._given = LearnedWords(list(words), np.array(table, np.float32), list_counts(model.wv))
        return made.fit(made._list_own_words(made._given.words))

    def _params(self) -> dict[str, Any]:
        return {
            "dim": self._width,
            "lowercase": self._analyzer.lowercase,
            **self._training,
            "name": self._model,
            "normalize": self._normalize,
            "on_unknown": self._on_unknown,
        }

    def _fit(self, items: list[str], seed: int) -> None:
        found = self._given or learn_texts(
            [self._analyzer.split(text) for text in items], self._width, seed=seed, **self._training
        )
        if not np.isfinite(found.table).all():
            raise InvalidVector("The table of the words is not finite.")
        self._table = found.table
        self._take_over(found.words, np.array(found.counts, np.float32))

    def _take_over(self, words: list[str], counts: NDArray[np.float32]) -> None:
        self._index = {word: number for number, word in enumerate(words)}
        self._native_dim = self._width
        self._counts = counts
        powers = counts.astype(np.float64) ** _POWER
        shares = powers / powers.sum()
        if len(words) <= _NOISE:
            self._noise, self._shares = self._table.astype(np.float64), shares
            return
        drawn = np.searchsorted(np.cumsum(shares), (np.arange(_NOISE) + 0.5) / _NOISE)
        places, often = np.unique(np.minimum(drawn, len(words) - 1), return_counts=True)
        self._noise, self._shares = self._table[places].astype(np.float64), often / _NOISE

    def _encode(self, items: list[str], role: Role, /) -> NDArray[np.float32]:
        rows = np.zeros((len(items), self._width), np.float64)
        for row, text in zip(rows, items, strict=True):
            known = [self._index[word] for word in self._analyzer.split(text) if word in self._index]
            if known:
                # In one order, so that the order of words changes not even the last bit.
                places, counts = np.unique(known, return_counts=True)
                row[:] = self._infer(places, counts.astype(np.float64))
        return rows.astype(np.float32)

    def _infer(self, places: NDArray[np.intp], counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vector at which the words of a text are the likeliest, and random ones the least likely."""
        rows = np.concatenate([self._table[places].astype(np.float64), self._noise])
        signs = np.concatenate([np.ones(len(places)), -np.ones(len(self._noise))])
        weights = np.concatenate([counts, counts.sum() * self._training["negative"] * self._shares])
        vector = np.zeros(self._width)
        best = _measure(rows, signs, weights, vector)
        for _ in range(_ROUNDS):
            chances = squash(rows @ vector)
            gradient = (weights * ((signs > 0) - chances)) @ rows - _RIDGE * vector
            curvature = (rows.T * (weights * chances * (1 - chances))) @ rows + _RIDGE * np.eye(self._width)
            step = np.linalg.solve(curvature, gradient)
            size = 1.0
            while (reached := _measure(rows, signs, weights, vector + size * step)) < best and size > _SMALL:
                size /= 2
            vector = vector + size * step
            best = reached
            if np.abs(size * step).max() <= _SMALL * (1 + np.abs(vector).max()):
                break
        return vector

    def _list_own_words(self, words: Sequence[str]) -> list[str]:
        """Return the first words that are words as texts are cut into them."""
        found = [word for word in words if self._analyzer.split(word) == [word]][: 3 * _CANARIES]
        if not found:
            raise InvalidArgument("No word of the model is one as texts are cut into words; see lowercase.")
        return found

    def _choose_canaries(self) -> Sequence[str]:
        """Return texts of three words each. They say no more than the vocabulary does."""
        words = self._list_own_words(list(self._index))
        return [" ".join(words[start : start + 3]) for start in range(0, len(words), 3)]

    def _take_apart(self) -> tuple[Sequence[str], Arrays]:
        return list(self._index), {"words": self._table, "counts": self._counts}

    def _put_together(self, model: SavedModel) -> None:
        words = model.check_vocabulary(str)
        self._table, counts = model.take({"words": (len(words), self._width), "counts": (len(words),)})
        if not words or not (counts > 0).all():
            raise ModelDamaged("A model of texts has words, each with how often it appears.")
        self._take_over(words, counts)


def _measure(
    rows: NDArray[np.float64], signs: NDArray[np.float64], weights: NDArray[np.float64], vector: NDArray[np.float64]
) -> float:
    """Return the logarithm of how likely the words are, less the ridge."""
    return float(-(weights @ np.logaddexp(0, -signs * (rows @ vector))) - _RIDGE / 2 * (vector @ vector))
