"""The base class of all embedders."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InvalidArgument
from .batching import cut_by_length
from .identity import Identity
from .long_texts import LongTexts, OnLong
from .text_checks import check_texts
from .vector_checks import Float32Array, check_shape, finish_rows

Role: TypeAlias = Literal["document", "query"]
Progress: TypeAlias = Callable[[int, int], None]

_PLURALS: Mapping[Role, str] = MappingProxyType({"document": "documents", "query": "queries"})


def check_whole(name: str, value: object, low: int = 1) -> int:
    """Return ``value`` if it is a whole number of at least ``low``, or raise `InvalidArgument`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InvalidArgument(f"{name} must be a whole number of at least {low}, not {value!r}.")
    return value


class Embedder(ABC):
    """Turns documents and queries into vectors.

    An adapter implements `_encode`, and `_details` if its model has options that change vectors. This class
    does the batching, ordering, normalisation and all checks. Threads may share an instance.

    Parameters
    ----------
    kind : str
        Name of the library or service.
    model : str
        Its name for the model.
    dim : int, optional
        Length of a vector that `_encode` returns. By default one word is encoded to find out.
    normalize : bool
        Scale every vector to length 1, after any truncation.
    truncate_dim : int, optional
        Keep only that many leading components (for models trained with Matryoshka loss).
    batch_size : int
        At most this many texts per call of `_encode`.
    on_long : {"truncate", "error"}
        Whether a text that is longer than the model reads is truncated with one `TruncatedText` warning, or
        refused. Works if the adapter can count tokens.
    allow_zero : bool
        Accept vectors of length 0 (not together with ``normalize``).
    """

    def __init__(
        self,
        *,
        kind: str,
        model: str,
        dim: int | None = None,
        normalize: bool = True,
        truncate_dim: int | None = None,
        batch_size: int = 32,
        on_long: OnLong = "truncate",
        allow_zero: bool = False,
    ) -> None:
        self._long_texts = LongTexts(on_long)
        if normalize and allow_zero:
            raise InvalidArgument("A vector of length 0 cannot be normalised, so allow_zero requires normalize=False.")
        self._kind = kind
        self._model = model
        self._native_dim = None if dim is None else check_whole("dim", dim)
        self._normalize = normalize
        self._truncate_dim = None if truncate_dim is None else check_whole("truncate_dim", truncate_dim)
        self._batch_size = check_whole("batch_size", batch_size)
        self._allow_zero = allow_zero
        self._identity: Identity | None = None
        # Re-entrant, because the identity needs the dimension, and both may load the model.
        self._lock = threading.RLock()

    @abstractmethod
    def _encode(self, texts: list[str], role: Role) -> ArrayLike:
        """Return one row per text. There are at least one and at most ``batch_size`` texts."""

    def _details(self) -> Mapping[str, Any]:
        """Return other settings that change vectors, as JSON data: revision, prompts, limits, but no secrets."""
        return {}

    def _max_tokens(self) -> int | None:
        """Return how many tokens of a text the model reads, or None if unknown."""
        return None

    def _count_tokens(self, texts: list[str], role: Role) -> Sequence[int]:
        """Return the number of tokens of each text. Called only if `_max_tokens` returns a number."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @property
    def name(self) -> str:
        """``kind:model``, the name of this embedder in messages."""
        return f"{self._kind}:{self._model}"

    @property
    def dim(self) -> int:
        """Length of the vectors. May load the model."""
        native = self._find_native_dim()
        return native if self._truncate_dim is None else self._truncate_dim

    @property
    def config(self) -> dict[str, Any]:
        """The model and its settings as JSON data, without devices, batches or keys. May load the model."""
        return {
            "kind": self._kind,
            "model": self._model,
            "dim": self.dim,
            "normalized": self._normalize,
            "truncate_dim": self._truncate_dim,
            **self._details(),
        }

    @property
    def identity(self) -> Identity:
        """The config and the canaries, measured once. Loads the model."""
        with self._lock:
            if self._identity is None:
                self._identity = Identity.measure(self)
            return self._identity

    def embed_documents(
        self,
        texts: Iterable[str],
        *,
        label: Callable[[int], str] | None = None,
        on_progress: Progress | None = None,
    ) -> Float32Array:
        """Embed the texts of documents.

        Parameters
        ----------
        texts : iterable of str
        label : callable, optional
            Returns what an error message calls the text at a position: ``lambda i: f"record {ids[i]!r}"``.
        on_progress : callable, optional
            Called as ``on_progress(done, total)`` after each batch.

        Returns
        -------
        ndarray, shape (n, dim), float32
            Rows are in the order of ``texts``.

        Raises
        ------
        InvalidArgument, InvalidMetadata
            A value is not a text, or a text is longer than the model reads and ``on_long`` is ``"error"``.
        InvalidVector
            The model returned NaN, infinity, a vector of length 0, or an array of the wrong shape.
        """
        return self._embed(texts, "document", label, on_progress)

    def embed_queries(self, texts: Iterable[str], *, label: Callable[[int], str] | None = None) -> Float32Array:
        """Embed the texts of queries; like `embed_documents`, in the query role of the model."""
        return self._embed(texts, "query", label, None)

    def _embed(
        self, texts: Iterable[str], role: Role, label: Callable[[int], str] | None, on_progress: Progress | None
    ) -> Float32Array:
        if label is None:
            plural = _PLURALS[role]

            def label(position: int) -> str:
                return f"{plural}[{position}]"

        texts = check_texts(texts, label)
        vectors = np.empty((len(texts), self.dim), np.float32)
        done = 0
        for positions in cut_by_length(texts, self._batch_size):
            batch = [texts[position] for position in positions]
            limit = self._max_tokens()
            if limit is not None and self._long_texts.needs_counts:
                self._long_texts.check(self._count_tokens(batch, role), limit, positions, label, self.name)
            rows = self._encode_rows(batch, role)[:, : self._truncate_dim]
            vectors[positions] = finish_rows(
                rows, positions, label, self.name, normalize=self._normalize, allow_zero=self._allow_zero
            )
            done += len(positions)
            if on_progress is not None:
                on_progress(done, len(texts))
        return vectors

    def _find_native_dim(self) -> int:
        with self._lock:
            if self._native_dim is None:
                self._native_dim = self._encode_rows(["dimension"], "document").shape[1]
            if self._truncate_dim is not None and self._truncate_dim > self._native_dim:
                raise InvalidArgument(
                    f"truncate_dim={self._truncate_dim} exceeds the {self._native_dim} dimensions of {self.name!r}."
                )
            return self._native_dim

    def _encode_rows(self, texts: list[str], role: Role) -> Float32Array:
        return check_shape(self._encode(texts, role), len(texts), self._native_dim, self.name)
