"""The base class of all embedders."""

# Longer than 300 lines because each hook of an adapter stands here, with what it promises.

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InvalidArgument
from .batching import cut_by_weight
from .canaries import CANARY_TEXTS, MIN_COSINE
from .identity import Identity
from .item_checks import check_items
from .long_texts import LongTexts, OnLong, average_pieces, cut_text
from .vector_checks import Float32Array, check_shape, finish_rows

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=str)
else:
    from typing import TypeVar

    T = TypeVar("T")

Role: TypeAlias = Literal["document", "query"]
OnUnknown: TypeAlias = Literal["error", "skip"]
Progress: TypeAlias = Callable[[int, int], None]


def check_whole(name: str, value: object, low: int = 1) -> int:
    """Return ``value`` if it is a whole number of at least ``low``, or raise `InvalidArgument`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InvalidArgument(f"{name} must be a whole number of at least {low}, not {value!r}.")
    return value


class Embedder(ABC, Generic[T]):
    """Turns documents and queries into vectors: texts, or items of another kind.

    An adapter implements `_encode`, and `_details` if its model has options that change vectors. This class
    does the batching, ordering, normalisation and all checks. Threads may share an instance. An adapter for something
    other than texts says so with `item_types`, `modality`, `_canaries` and `_weight`.

    Parameters
    ----------
    kind : str
        Name of the library or service.
    model : str
        Its name for the model.
    dim : int, optional
        Length of a vector that `_encode` returns. By default one item is encoded to find out.
    normalize : bool
        Scale every vector to length 1, after any truncation.
    truncate_dim : int, optional
        Keep only that many leading components (for models trained with Matryoshka loss).
    batch_size : int
        At most this many items per call of `_encode`.
    on_long : {"truncate", "error", "mean"}
        Whether a text that is longer than the model reads is truncated with one `TruncatedText` warning, refused, or
        cut into pieces, of whose vectors it gets the mean, weighted by their tokens and scaled again under
        ``normalize``. Works if the adapter can count tokens.
    allow_zero : bool
        Accept vectors of length 0 (not together with ``normalize``).
    on_unknown : {"error", "skip"}
        Whether an item of which the model knows nothing, so that its vector is zero, is refused, or gets a row of NaN.
        A store leaves such a record without a vector where vectors are optional.

    Attributes
    ----------
    item_types : tuple of type
        The types of items. A str is a text and never a path: files are given as ``pathlib.Path``.
    modality : str
        What the items are: ``"text"``, ``"image"``, ``"audio"``, …; several are joined by ``+``.
    min_cosine : float
        How near the canaries of two instances with the same weights must be. A model whose arithmetic differs between
        processors may set it down to 0.98, and has a ``revision`` in its `_details`.
    """

    modality: str = "text"
    min_cosine: float = MIN_COSINE
    _is_outermost = False

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
        on_unknown: OnUnknown = "error",
    ) -> None:
        self._long_texts = LongTexts(on_long)
        if on_unknown not in ("error", "skip"):
            raise InvalidArgument(f"on_unknown must be 'error' or 'skip', not {on_unknown!r}.")
        self._on_unknown = on_unknown
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

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return (str,)

    @property
    def takes_texts(self) -> bool:
        """Whether the text of a record is an item for it. For an embedder of codes or pictures it is a mere note."""
        return "text" in self.modality.split("+")

    @abstractmethod
    def _encode(self, items: list[T], role: Role, /) -> ArrayLike:
        """Return one row per item. There are at least one and at most ``batch_size`` items."""

    def _weight(self, item: T) -> int:
        """Return how much work an item is, such as its length; items of similar weight share a batch."""
        return len(item) if isinstance(item, str) else 1

    def _find_fault(self, item: T) -> str | None:
        """Return what is wrong with an item of the right type, such as ``is silent``, or None."""
        return None

    def _check_known(self, items: list[T], label: Callable[[int], str]) -> None:
        """Refuse an item of which it knows nothing, with `UnknownItem`, where that is plain before it is embedded."""

    def _canaries(self) -> Sequence[T]:
        """Return a few fixed items, made by code, whose vectors tell this model from others."""
        if str not in self.item_types:
            raise NotImplementedError(f"{type(self).__name__} takes no texts, so it needs _canaries of its own.")
        return cast("Sequence[T]", CANARY_TEXTS)

    def _details(self) -> Mapping[str, Any]:
        """Return other settings that change vectors, as JSON data: revision, prompts, limits, but no secrets."""
        return {}

    def _policies(self) -> Mapping[str, Any]:
        """Return settings that decide which items are refused or cut, as JSON data. A cache keeps them apart."""
        return {"on_long": self._long_texts.policy, "allow_zero": self._allow_zero, "on_unknown": self._on_unknown}

    def _max_tokens(self) -> int | None:
        """Return how many tokens of a text the model reads, or None if unknown."""
        return None

    def _count_tokens(self, texts: list[str], role: Role, /) -> Sequence[int]:
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
            **({} if self.modality == "text" else {"modality": self.modality}),
            **({} if self.min_cosine == MIN_COSINE else {"min_cosine": self.min_cosine}),
            **({"on_long": "mean"} if self._long_texts.cuts else {}),
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
        items: Iterable[T],
        *,
        label: Callable[[int], str] | None = None,
        on_progress: Progress | None = None,
    ) -> Float32Array:
        """Embed documents.

        Parameters
        ----------
        items : iterable
            Texts, or what else `item_types` says.
        label : callable, optional
            Returns what an error message calls the item at a position: ``lambda i: f"record {ids[i]!r}"``.
        on_progress : callable, optional
            Called as ``on_progress(done, total)`` after each batch.

        Returns
        -------
        ndarray, shape (n, dim), float32
            Rows are in the order of ``items``.

        Raises
        ------
        InvalidArgument, InvalidMetadata
            An item is of another type, or a text is blank, or it is longer than the model reads and ``on_long`` is
            ``"error"``.
        InvalidVector
            The model returned NaN, infinity, a vector of length 0, or an array of the wrong shape.
        """
        return self._embed(items, "document", label, on_progress)

    def embed_queries(self, items: Iterable[T], *, label: Callable[[int], str] | None = None) -> Float32Array:
        """Embed queries; like `embed_documents`, in the query role of the model."""
        return self._embed(items, "query", label, None)

    def _embed(
        self, items: Iterable[T], role: Role, label: Callable[[int], str] | None, on_progress: Progress | None
    ) -> Float32Array:
        if label is None:
            plural = "queries" if role == "query" else "documents"
            label = lambda position: f"{plural}[{position}]"  # noqa: E731 - as short as what it does
        checked = check_items(items, self.item_types, label, self.name, self._find_fault)
        if self._long_texts.cuts and (limit := self._max_tokens()) is not None:
            return self._embed_pieces(checked, role, label, limit, on_progress)
        return self._embed_whole(checked, role, label, on_progress)

    def _embed_whole(
        self, items: list[T], role: Role, label: Callable[[int], str], on_progress: Progress | None
    ) -> Float32Array:
        vectors = np.empty((len(items), self.dim), np.float32)
        if self._on_unknown == "error":
            self._check_known(items, label)
        done = 0
        for positions in cut_by_weight([self._weight(item) for item in items], self._batch_size):
            batch = [items[position] for position in positions]
            limit = self._max_tokens() if self._long_texts.needs_counts else None
            if limit is not None:
                counts = self._count_tokens(cast("list[str]", batch), role)
                self._long_texts.check(counts, limit, positions, label, self.name)
            rows = self._encode_rows(batch, role)[:, : self._truncate_dim]
            vectors[positions] = self._finish(rows, positions, label)
            done += len(positions)
            if on_progress is not None:
                on_progress(done, len(items))
        return vectors

    def _embed_pieces(
        self, items: list[T], role: Role, label: Callable[[int], str], limit: int, on_progress: Progress | None
    ) -> Float32Array:
        """Embed texts, each that is too long as the mean of its pieces, weighted by their tokens."""
        pieces: list[T] = []
        owners: list[int] = []
        shares: list[int] = []
        counts = self._count_tokens(cast("list[str]", items), role) if items else ()
        for position, (item, tokens) in enumerate(zip(items, counts, strict=True)):
            parts: list[tuple[Any, int]] = [(item, tokens)]
            if tokens > limit:
                parts = cut_text(cast("str", item), lambda texts: self._count_tokens(texts, role), limit)
            for piece, share in parts:
                pieces.append(piece)
                owners.append(position)
                shares.append(share)
        # In items, as the caller counts.
        report = on_progress and (lambda done, total: on_progress(done * len(items) // total, len(items)))
        rows = self._embed_whole(pieces, role, lambda piece: label(owners[piece]), report)
        if len(pieces) == len(items):
            return rows
        return self._finish(average_pieces(rows, owners, shares, len(items)), list(range(len(items))), label)

    def _finish(self, rows: Float32Array, positions: list[int], label: Callable[[int], str]) -> Float32Array:
        return finish_rows(
            rows, positions, label, self.name,
            normalize=self._normalize, allow_zero=self._allow_zero, on_unknown=self._on_unknown,
        )  # fmt: skip

    def _find_native_dim(self) -> int:
        with self._lock:
            if self._native_dim is None:
                self._native_dim = self._encode_rows(list(self._canaries()[:1]), "document").shape[1]
            if self._truncate_dim is not None and self._truncate_dim > self._native_dim:
                raise InvalidArgument(
                    f"truncate_dim={self._truncate_dim} exceeds the {self._native_dim} dimensions of {self.name!r}."
                )
            return self._native_dim

    def _encode_rows(self, items: list[T], role: Role) -> Float32Array:
        return check_shape(self._encode(items, role), len(items), self._native_dim, self.name)
