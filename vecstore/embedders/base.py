"""What every embedder does the same way, whichever model is behind it."""

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
    """A model did not see the end of a text that is longer than it can read."""


def check_whole(name: str, value: object, low: int = 1) -> int:
    """Return ``value`` if it is a whole number of at least ``low``, or raise `InvalidArgument`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InvalidArgument(f"{name} must be a whole number of at least {low}, not {value!r}.")
    return value


class Embedder(ABC):
    """Turns documents and queries into vectors.

    An adapter writes `_encode`, and `_details` where its model has options that change vectors.
    Batching, order, normalisation and every check are done here, once. Instances may be shared by
    threads.

    Parameters
    ----------
    kind : str
        The library or service that makes the vectors.
    model : str
        What it calls the model.
    dim : int, optional
        Length of a vector as `_encode` gives it; found out by encoding one word when left out.
    normalize : bool
        Scale every vector to length 1, after any truncation.
    truncate_dim : int, optional
        Keep only that many leading components (for models trained with Matryoshka loss).
    batch_size : int
        Texts per call of `_encode`, at most.
    on_long : {"truncate", "error"}
        What to do with a text longer than the model reads, where the adapter can count: warn once
        with `TruncatedText`, or refuse.
    allow_zero : bool
        Let vectors of length 0 pass (never under ``normalize``).
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
            raise InvalidArgument("A vector of length 0 cannot be normalised: allow_zero needs normalize=False.")
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
        # Re-entrant: asking for the identity may ask for the dimension, and both may load the model.
        self._lock = threading.RLock()

    @abstractmethod
    def _encode(self, texts: list[str], role: Role) -> ArrayLike:
        """Return one row per text; at least one text and at most ``batch_size`` are given."""

    def _details(self) -> Mapping[str, Any]:
        """Return what else decides the vectors, as JSON data: revision, prompts, limits; no secrets."""
        return {}

    def _max_tokens(self) -> int | None:
        """Return how many tokens of a text the model reads, or None where that is not known."""
        return None

    def _count_tokens(self, texts: list[str], role: Role) -> Sequence[int]:
        """Return the tokens of each text; called only where `_max_tokens` gives a number."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @property
    def name(self) -> str:
        """``kind:model``, as messages call this embedder."""
        return f"{self._kind}:{self._model}"

    @property
    def dim(self) -> int:
        """Length of the vectors; may load the model."""
        native = self._find_native_dim()
        return native if self._truncate_dim is None else self._truncate_dim

    @property
    def config(self) -> dict[str, Any]:
        """Which model makes the vectors, as JSON data: nothing about devices, batches or keys. May load the model."""
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
        """The config and the canaries, made once; loads the model."""
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
        """Embed texts that are to be found.

        Parameters
        ----------
        texts : iterable of str
        label : callable, optional
            What an error message calls the text at a position, such as ``lambda i: f"record {ids[i]!r}"``.
        on_progress : callable, optional
            Called as ``on_progress(done, total)`` after each batch.

        Returns
        -------
        ndarray, shape (n, dim), float32
            In the order of ``texts``.

        Raises
        ------
        InvalidArgument, InvalidMetadata
            Something that is no text, or a text longer than the model reads under ``on_long="error"``.
        InvalidVector
            The model made a vector with NaN, infinity or length 0, or rows of another shape.
        """
        return self._embed(texts, "document", label, on_progress)

    def embed_queries(self, texts: Iterable[str]) -> Float32Array:
        """Embed texts that search; like `embed_documents`, in the model's other role."""
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
        # Texts of one length waste no padding, which is what a batch of a transformer costs.
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
                    f"truncate_dim={self._truncate_dim} is more than {self.name!r} has: {self._native_dim}."
                )
            return self._native_dim

    def _encode_rows(self, texts: list[str], role: Role) -> Float32Array:
        raw = self._encode(texts, role)
        try:
            with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused by position
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
            raise InvalidVector(f"{self.name!r} made a vector with NaN or infinity of {worst}.")
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        empty = np.flatnonzero(norms == 0)
        if empty.size and not self._allow_zero:
            worst = label(min(positions[row] for row in empty))
            raise InvalidVector(
                f"{self.name!r} made a vector of zeros of {worst}: the model knows nothing in that text. "
                "Leave it out, or give it a vector of your own."
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
            advice = "Its end is not embedded, nor is that of other such texts. Split them, or pass on_long='error'."
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
            # From None: the codec's own error carries the text.
            raise InvalidMetadata(f"{label(position)} has a lone surrogate at {error.start}.") from None
    return texts
