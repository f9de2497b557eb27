"""TF-IDF, and with ``svd`` latent semantic analysis (LSA): rare terms count more, related terms count together.

A term's weight is its count times ``ln((1 + n) / (1 + df)) + 1``, where ``df`` of ``n`` texts have it. Latent semantic
analysis projects the scaled weights on the leading singular vectors (Deerwester et al., 1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument, MissingExtra
from ..base import OnUnknown, Role, check_whole
from .bag_of_words import TermVectorizer
from .saved_model import Arrays, SavedModel
from .terms import Counts
from .vectorizer import check_dim


class Tfidf(TermVectorizer):
    """Embed a text by its terms, weighted by how rare they are; with ``svd`` in as many dimensions as that.

    To fit with ``svd`` takes scikit-learn (extra ``vectorizers``); to embed takes numpy alone.

    Parameters
    ----------
    svd : int, optional
        Number of dimensions. Without it each term is one, of which 4,096 are the most.
    sublinear : bool
        Count ``1 + ln(count)`` instead of the count.
    **others
        See `TermVectorizer`.
    """

    kind = "tfidf"
    libraries = ("numpy", "scikit-learn")

    def __init__(
        self,
        *,
        svd: int | None = None,
        name: str = "own",
        analyzer: str = "word",
        ngrams: Sequence[int] = (1, 1),
        lowercase: bool = True,
        min_texts: int = 1,
        max_terms: int | None = None,
        sublinear: bool = False,
        normalize: bool = True,
        batch_size: int = 256,
        on_unknown: OnUnknown = "error",
    ) -> None:
        super().__init__(
            name=name, analyzer=analyzer, ngrams=ngrams, lowercase=lowercase, min_texts=min_texts, max_terms=max_terms,
            normalize=normalize, batch_size=batch_size, on_unknown=on_unknown,
        )  # fmt: skip
        self._svd = None if svd is None else check_whole("svd", svd, 2)
        if svd is not None:
            check_dim(svd, "dimensions in svd=")
        self._sublinear = bool(sublinear)
        self._idf = np.empty(0, np.float32)
        self._components = np.empty((0, 0), np.float32)

    def _params(self) -> dict[str, Any]:
        return {**super()._params(), "svd": self._svd, "sublinear": self._sublinear}

    def _fit(self, items: list[str], seed: int) -> None:
        counts = self._learn(items)
        terms = len(self._index)
        if self._svd is None:
            check_dim(terms, "different terms")
        elif not self._svd < min(terms, len(items)):
            raise InvalidArgument(
                f"svd={self._svd} takes more than {self._svd} texts and terms, and there are {len(items)} and {terms}."
            )
        frequencies = np.bincount(counts.terms, minlength=terms)
        self._idf = (np.log((1 + len(items)) / (1 + frequencies)) + 1).astype(np.float32)
        self._native_dim = terms
        if self._svd is not None:
            self._components = self._decompose(counts, len(items), self._svd, seed)
            self._native_dim = self._svd

    def _decompose(self, counts: Counts, texts: int, dim: int, seed: int) -> NDArray[np.float32]:
        """Return the leading right singular vectors as columns, shape (terms, dim)."""
        try:
            from scipy.sparse import csr_matrix
            from sklearn.decomposition import TruncatedSVD
        except ImportError as error:
            raise MissingExtra("scikit-learn", "vectorizers") from error

        starts = np.concatenate([[0], counts.ends])
        matrix = csr_matrix((self._weigh(counts), counts.terms, starts), shape=(texts, len(self._index)))
        fitted = TruncatedSVD(dim, n_iter=4, random_state=seed).fit(matrix)
        return np.ascontiguousarray(fitted.components_.T, np.float32)

    def _weigh(self, counts: Counts) -> NDArray[np.float32]:
        """Return the weight of each entry; those of a text have the length 1 together."""
        found = np.log(counts.counts) + 1 if self._sublinear else counts.counts
        weights = (found * self._idf[counts.terms]).astype(np.float64)
        squares = np.bincount(counts.rows, weights**2, minlength=len(counts.ends))
        return (weights / np.sqrt(squares)[counts.rows]).astype(np.float32)

    def _encode(self, items: list[str], role: Role, /) -> NDArray[np.float32]:
        counts = self._count(items)
        weights = self._weigh(counts)
        if self._svd is None:
            rows = np.zeros((len(items), len(self._index)), np.float32)
            rows[counts.rows, counts.terms] = weights
            return rows
        rows = np.zeros((len(items), self._svd), np.float32)
        for row, (start, end) in enumerate(zip([0, *counts.ends[:-1]], counts.ends, strict=True)):
            if end > start:
                rows[row] = weights[start:end] @ self._components[counts.terms[start:end]]
        return rows

    def _take_apart(self) -> tuple[Sequence[str], Arrays]:
        arrays = {"idf": self._idf}
        return list(self._index), arrays if self._svd is None else {**arrays, "components": self._components}

    def _put_together(self, model: SavedModel) -> None:
        terms = len(self._restore_terms(model))
        if self._svd is None:
            check_dim(terms, "different terms")
            (self._idf,) = model.take({"idf": (terms,)})
        else:
            self._idf, self._components = model.take({"idf": (terms,), "components": (terms, self._svd)})
        self._native_dim = terms if self._svd is None else self._svd
