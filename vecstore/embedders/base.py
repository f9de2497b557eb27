"""The base class of all embedders: batching, validation and normalisation."""

from __future__ import annotations

import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DimensionMismatch, InvalidArgument, InvalidMetadata, InvalidVector
from .identity import Identity

Role: TypeAlias = Literal["document", "query"]
OnLong: TypeAlias = Literal["truncate", "error"]
Progress: TypeAlias = Callable[[int, int], None]
Float32Array: TypeAlias = NDArray[np.float32]

_PLURALS: Mapping[Role, str] = MappingProxyType({"document": "documents", "query": "queries"})


class TruncatedText(UserWarning):
    """A text is longer than the model reads, and its end was ignored."""


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
        if on_long not in ("truncate", "error"):
            raise InvalidArgument(f"on_long must be 'truncate' or 'error', not {on_long!r}.")
        if normalize and allow_zero:
            raise InvalidArgument("A vector of length 0 cannot be normalised, so allow_zero requires normalize=False.")
        self._kind = kind
        self._model = model
        self._native_dim = None if dim is None else check_whole("dim", dim)
        self._normalize = normalize
        self._truncate_dim = None if truncate_dim is None else check_whole("truncate_dim", truncate_dim)
        self._batch_size = check_whole("batch_size", batch_size)
        self._on_long = on_long
        self._allow_zero = allow_zero
        self._identity: Identity | None = None
        self._warned = False
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

    def embed_queries(self, texts: Iterable[str]) -> Float32Array:
        """Embed the texts of queries; like `embed_documents`, in the query role of the model."""
        return self._embed(texts, "query", None, None)

    def _embed(
        self, texts: Iterable[str], role: Role, label: Callable[[int], str] | None, on_progress: Progress | None
    ) -> Float32Array:
        if label is None:
            plural = _PLURALS[role]

            def label(position: int) -> str:
                return f"{plural}[{position}]"

        texts = _check_texts(texts, label)
        vectors = np.empty((len(texts), self.dim), np.float32)
        # Texts of similar length need little padding, and a transformer computes the padding too.
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        for start in range(0, len(order), self._batch_size):
            positions = order[start : start + self._batch_size]
            batch = [texts[position] for position in positions]
            self._check_length(batch, role, positions, label)
            rows = self._encode_rows(batch, role)[:, : self._truncate_dim]
            vectors[positions] = self._finish_rows(rows, positions, label)
            if on_progress is not None:
                on_progress(start + len(positions), len(order))
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
        raw = self._encode(texts, role)
        try:
            with np.errstate(over="ignore"):  # overflow becomes infinity and is refused later with its position
                rows = np.asarray(raw, np.float32)
        except (TypeError, ValueError) as error:
            raise InvalidVector(f"{self.name!r} did not return numbers in the shape (n, dim).") from error
        if rows.ndim != 2 or len(rows) != len(texts) or rows.shape[1] == 0:
            raise InvalidVector(f"{self.name!r} returned an array of shape {rows.shape} for {len(texts)} texts.")
        if self._native_dim is not None and rows.shape[1] != self._native_dim:
            raise DimensionMismatch(
                f"{self.name!r} returned vectors of {rows.shape[1]} dimensions where {self._native_dim} were expected."
            )
        return rows

    def _finish_rows(self, rows: Float32Array, positions: list[int], label: Callable[[int], str]) -> Float32Array:
        broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if broken.size:
            worst = label(min(positions[row] for row in broken))
            raise InvalidVector(f"{self.name!r} returned a vector with NaN or infinity for {worst}.")
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        empty = np.flatnonzero(norms == 0)
        if empty.size and not self._allow_zero:
            worst = label(min(positions[row] for row in empty))
            raise InvalidVector(
                f"{self.name!r} returned a vector of zeros for {worst}: the text contains no token that the model "
                "knows. Leave it out, or give a vector with it."
            )
        return np.asarray(rows / norms[:, np.newaxis], np.float32) if self._normalize else rows

    def _check_length(self, texts: list[str], role: Role, positions: list[int], label: Callable[[int], str]) -> None:
        limit = self._max_tokens()
        if limit is None or (self._warned and self._on_long == "truncate"):
            return
        counts = self._count_tokens(texts, role)
        long = [position for position, count in zip(positions, counts, strict=True) if count > limit]
        if not long:
            return
        message = f"{label(min(long))} is longer than the {limit} tokens that {self.name!r} reads."
        if self._on_long == "error":
            raise InvalidMetadata(f"{message} Split it into passages.")
        with self._lock:
            warned, self._warned = self._warned, True
        if not warned:
            advice = "The end of such texts is not embedded. Split them, or pass on_long='error'."
            warnings.warn(f"{message} {advice}", TruncatedText, stacklevel=4)


def _check_texts(texts: Iterable[str], label: Callable[[int], str]) -> list[str]:
    if isinstance(texts, str):
        raise InvalidArgument("texts must be a list of str, not one str.")
    texts = list(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidArgument(f"{label(position)} is {type(text).__name__}, not str.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            # From None, because the codec's own error contains the text.
            raise InvalidMetadata(f"{label(position)} has a lone surrogate at position {error.start}.") from None
    return texts
