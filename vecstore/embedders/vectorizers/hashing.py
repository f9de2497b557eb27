"""Feature hashing: each term has a dimension and a sign by its hash, so nothing has to be learned.

Weinberger et al., Feature hashing for large scale multitask learning, 2009.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import OnUnknown, Role, check_whole
from ..canaries import CANARY_TEXTS
from .saved_model import Arrays, SavedModel
from .terms import Analyzer
from .vectorizer import Vectorizer, check_dim


class Hashing(Vectorizer[str]):
    """Embed a text by the hashes of its terms. It is fitted from the beginning, and works on any vocabulary.

    Parameters
    ----------
    dim : int, 16 to 4,096
    name : str
    analyzer : {"word", "char"}
    ngrams : tuple of int
    lowercase : bool
    normalize : bool
    batch_size : int
    on_unknown : {"error", "skip"}
        What becomes of a text without a term, such as one of punctuation alone.
    """

    kind = "hashing"

    def __init__(
        self,
        dim: int = 1024,
        *,
        name: str = "terms",
        analyzer: str = "word",
        ngrams: Sequence[int] = (1, 1),
        lowercase: bool = True,
        normalize: bool = True,
        batch_size: int = 256,
        on_unknown: OnUnknown = "error",
    ) -> None:
        check_dim(check_whole("dim", dim, 16), "dimensions in dim=")
        super().__init__(name=name, normalize=normalize, batch_size=batch_size, on_unknown=on_unknown)
        self._analyzer = Analyzer.make(analyzer, ngrams, lowercase)
        self._native_dim = dim
        self._finish_fit({"items": 0, "seed": 0, "sha256": hashlib.sha256().hexdigest()})

    def _params(self) -> dict[str, Any]:
        return {
            "dim": self._native_dim,
            "name": self._model,
            **self._analyzer.params,
            "normalize": self._normalize,
            "on_unknown": self._on_unknown,
        }

    def _fit(self, items: list[str], seed: int) -> None:
        """Do nothing: `fit` refuses, as it does for every vectoriser that is fitted."""

    def _encode(self, items: list[str], role: Role, /) -> NDArray[np.float32]:
        dim = self._native_dim or 0
        rows = np.zeros((len(items), dim), np.float32)
        places: dict[str, tuple[int, int]] = {}
        for row, text in zip(rows, items, strict=True):
            for term, count in Counter(self._analyzer.split(text)).items():
                if term not in places:
                    number = int.from_bytes(hashlib.blake2b(term.encode(), digest_size=8).digest(), "little")
                    places[term] = (number >> 1) % dim, 1 if number & 1 else -1
                place, sign = places[term]
                row[place] += sign * count
        return rows

    def _choose_canaries(self) -> Sequence[str]:
        return CANARY_TEXTS

    def _take_apart(self) -> tuple[Sequence[str], Arrays]:
        return [], {}

    def _put_together(self, model: SavedModel) -> None:
        model.take({})
        model.check_vocabulary()
