"""Records as users write and read them, and hits as searches return them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InvalidArgument, InvalidId
from .rows.strings import find_fault, to_plain

MAX_ID_BYTES = 512


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One record.

    Parameters
    ----------
    id : str
        1 to 512 bytes of UTF-8, compared byte by byte and never normalised.
    vector : array_like, shape (dim,), optional
        If it is missing, the store's embedder makes it from ``text``.
    text : str, optional
    metadata : mapping, optional
        Declared fields, which filters can use, and other JSON values, which are returned unchanged.
    """

    id: str
    vector: ArrayLike | None = None
    text: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return (
            self.id == other.id
            and self.text == other.text
            and dict(self.metadata) == dict(other.metadata)
            and _same_vector(self.vector, other.vector)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show neither text nor vector nor values, because representations end up in logs."""
        has = [name for name in ("vector", "text", "metadata") if getattr(self, name) is not None]
        return f"<Record {self.id!a} with {', '.join(has)}>"


def _same_vector(a: ArrayLike | None, b: ArrayLike | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """A found record.

    Attributes
    ----------
    id : str
    score : float
        Larger is nearer, whatever the metric.
    distance : float
        Smaller is nearer: 1 − cos, −a·b or the Euclidean distance.
    text, metadata, vector
        None unless ``include`` asked for them.
    """

    id: str
    score: float
    distance: float
    text: str | None = None
    metadata: Mapping[str, Any] | None = None
    vector: NDArray[Any] | None = None

    def __repr__(self) -> str:
        """Show neither text nor vector nor values, because representations end up in logs."""
        return f"<Hit {self.id!a} score={self.score:.4f} distance={self.distance:.4f}>"


class Hits(Sequence[Hit]):
    """The hits of one search, nearest first; ties are in the order of ids.

    Parameters
    ----------
    hits : iterable of Hit
    exact : bool
        True if no nearer record can exist.
    complete : bool
        False if there may be more matching records than these.
    """

    __slots__ = ("_hits", "complete", "exact")

    def __init__(self, hits: Iterable[Hit], *, exact: bool, complete: bool) -> None:
        self._hits = tuple(hits)
        self.exact = exact
        self.complete = complete

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self._hits[index]

    def __len__(self) -> int:
        return len(self._hits)

    def __repr__(self) -> str:
        shown = ", ".join(f"{hit.id!r}: {hit.score:.4f}" for hit in self._hits[:5])
        more = ", …" if len(self) > 5 else ""
        return f"<Hits {len(self)} [{shown}{more}] exact={self.exact} complete={self.complete}>"


def check_id(value: object) -> str:
    """Return the id if it is valid.

    Raises
    ------
    InvalidId
    """
    reason = find_fault(value, 1, MAX_ID_BYTES)
    if reason is None:
        return to_plain(value)
    shown = f" {value[:40]!a}" if isinstance(value, str) and value else ""
    raise InvalidId(f"The id{shown} {reason}. An id is a str of 1 to {MAX_ID_BYTES} bytes.")


def check_ids(ids: object) -> list[str]:
    """Return ids as a list of valid ones. A bare ``str`` is refused, because it would be read letter by letter.

    Raises
    ------
    InvalidArgument, InvalidId
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise InvalidArgument(f"ids must be a list of ids, not {type(ids).__name__}. Write ids=[…].")
    return [check_id(value) for value in ids]
