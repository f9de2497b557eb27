"""Bag of words: a dimension for each term, with how often the text has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument, ModelDamaged
from ..base import OnUnknown, Role, check_whole
from .saved_model import Arrays, SavedModel
from .terms import Analyzer, Counts, count_known, learn_terms
from .vectorizer import Vectorizer, check_dim


class TermVectorizer(Vectorizer[str]):
    """A vectoriser whose vocabulary is the terms of texts.

    Parameters
    ----------
    name : str
        Its name in messages and in the identity.
    analyzer : {"word", "char"}
        Words, where scripts without spaces give pairs of characters, or runs of characters.
    ngrams : tuple of int
        The shortest and the longest run of words or characters that is a term.
    lowercase : bool
    min_texts : int
        Leave out terms that fewer texts have.
    max_terms : int, optional
        Keep that many of the most frequent terms.
    normalize : bool
    batch_size : int
    on_unknown : {"error", "skip"}
        What becomes of a text without a known term; see `Embedder`.
    """

    def __init__(
        self,
        *,
        name: str,
        analyzer: str,
        ngrams: Sequence[int],
        lowercase: bool,
        min_texts: int,
        max_terms: int | None,
        normalize: bool,
        batch_size: int,
        on_unknown: OnUnknown,
    ) -> None:
        super().__init__(name=name, normalize=normalize, batch_size=batch_size, on_unknown=on_unknown)
        self._analyzer = Analyzer.make(analyzer, ngrams, lowercase)
        self._min_texts = check_whole("min_texts", min_texts)
        self._max_terms = None if max_terms is None else check_whole("max_terms", max_terms)
        self._index: dict[str, int] = {}

    def _params(self) -> dict[str, Any]:
        return {
            "name": self._model,
            **self._analyzer.params,
            "min_texts": self._min_texts,
            "max_terms": self._max_terms,
            "normalize": self._normalize,
            "on_unknown": self._on_unknown,
        }

    def _learn(self, texts: list[str]) -> Counts:
        terms, counts = learn_terms(texts, self._analyzer, self._min_texts, self._max_terms)
        if not terms:
            raise InvalidArgument(
                f"No term is in {self._min_texts} or more of the {len(texts)} texts. Give more texts, or min_texts=1."
            )
        self._index = {term: number for number, term in enumerate(terms)}
        return counts

    def _count(self, texts: list[str]) -> Counts:
        return count_known(texts, self._analyzer, self._index)

    def _choose_canaries(self) -> list[str]:
        """Return texts of a few terms each, spread over the vocabulary. They say no more than the vocabulary does."""
        terms = list(self._index)
        starts = range(0, len(terms), max(1, len(terms) // 6))
        return [" ".join(terms[start : start + 3]) for start in list(starts)[:6]]

    def _restore_terms(self, model: SavedModel) -> list[str]:
        terms: list[str] = model.check_vocabulary(str)
        if not terms or any(type(each) is not str for each in model.canaries):
            raise ModelDamaged(f"The {self.kind} model has no vocabulary.")
        self._index = {term: number for number, term in enumerate(terms)}
        return terms


class BagOfWords(TermVectorizer):
    """Embed a text as the counts of its terms: the simplest vectors of texts, and a baseline for better ones.

    Parameters
    ----------
    binary : bool
        Say only whether the text has a term.
    **others
        See `TermVectorizer`.
    """

    kind = "bag-of-words"

    def __init__(
        self,
        *,
        name: str = "own",
        analyzer: str = "word",
        ngrams: Sequence[int] = (1, 1),
        lowercase: bool = True,
        min_texts: int = 1,
        max_terms: int | None = None,
        binary: bool = False,
        normalize: bool = True,
        batch_size: int = 256,
        on_unknown: OnUnknown = "error",
    ) -> None:
        super().__init__(
            name=name, analyzer=analyzer, ngrams=ngrams, lowercase=lowercase, min_texts=min_texts, max_terms=max_terms,
            normalize=normalize, batch_size=batch_size, on_unknown=on_unknown,
        )  # fmt: skip
        self._binary = bool(binary)

    def _params(self) -> dict[str, Any]:
        return {**super()._params(), "binary": self._binary}

    def _fit(self, items: list[str], seed: int) -> None:
        self._learn(items)
        check_dim(len(self._index), "different terms")
        self._native_dim = len(self._index)

    def _encode(self, items: list[str], role: Role, /) -> NDArray[np.float32]:
        counts = self._count(items)
        rows = np.zeros((len(items), len(self._index)), np.float32)
        rows[counts.rows, counts.terms] = 1 if self._binary else counts.counts
        return rows

    def _take_apart(self) -> tuple[Sequence[str], Arrays]:
        return list(self._index), {}

    def _put_together(self, model: SavedModel) -> None:
        terms = self._restore_terms(model)
        model.take({})
        check_dim(len(terms), "different terms")
        self._native_dim = len(terms)
