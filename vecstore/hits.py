"""Hits: what a search returns, in their order, made from what a backend found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import neg
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from .backend import Found, Include, Rows, Search
from .records import are_same_vectors
from .rows import metadata
from .schema import Schema

if TYPE_CHECKING:
    from .columns.arrow_output import Table


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

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as data that ``json.dumps`` takes.

        The keys are ``id``, ``score``, ``distance``, ``text`` and ``metadata``, and ``vector`` if it was included.
        Dates are in ISO 8601, a vector is a list of numbers.
        """
        found = {"id": self.id, "score": self.score, "distance": self.distance}
        found |= {"text": self.text, "metadata": _convert_plain(self.metadata)}
        return found if self.vector is None else {**found, "vector": _convert_plain(self.vector)}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hit):
            return NotImplemented
        return (
            (self.id, self.score, self.distance, self.text) == (other.id, other.score, other.distance, other.text)
            and self.metadata == other.metadata
            and are_same_vectors(self.vector, other.vector)
        )

    def __hash__(self) -> int:
        return hash((self.id, self.score, self.distance, self.text))

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
        True if the search found as many hits as it was asked for, or all that match. False only if ``min_score``
        left fewer of an approximate search: the index may have missed a record with a higher score, and the same
        search with ``exact=True`` would find it. Whether there are more than ``k`` matches is not what it says.
    shape : tuple of Schema and set of str, optional
        The store's schema and the parts that the search included, for `to_arrow`.
    """

    __slots__ = ("_hits", "_shape", "complete", "exact")

    def __init__(
        self, hits: Iterable[Hit], *, exact: bool, complete: bool, shape: tuple[Schema, Include] | None = None
    ) -> None:
        self._hits = tuple(hits)
        self._shape = shape
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

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the hits as data that ``json.dumps`` takes; see `Hit.to_dict`."""
        return [hit.to_dict() for hit in self._hits]

    def to_arrow(self) -> Table:
        """Return the hits as a table of pyarrow, whose columns do not depend on what was found.

        They are ``id``, ``score``, ``distance``, then what was included: ``vector``, ``text``, each declared field in
        its type, and ``metadata``, a JSON object of all other keys. It takes the extra ``parquet``.

        Raises
        ------
        MissingExtra
        """
        from .columns.arrow_output import make_table

        schema, include = self._shape or (Schema(), frozenset({"text", "metadata"}))
        return make_table(self._hits, schema, include)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hits):
            return NotImplemented
        return (self._hits, self.exact, self.complete) == (other._hits, other.exact, other.complete)

    def __hash__(self) -> int:
        return hash((self._hits, self.exact, self.complete))

    def __repr__(self) -> str:
        shown = ", ".join(f"{hit.id!r}: {hit.score:.4f}" for hit in self._hits[:5])
        more = ", …" if len(self) > 5 else ""
        return f"<Hits {len(self)} [{shown}{more}] exact={self.exact} complete={self.complete}>"


def make_hits(found: Found, search: Search, schema: Schema, offset: int = 0) -> Hits:
    """Sort a backend's rows by (score descending, id ascending), cut them to ``k`` and ``min_score``, skip some."""
    ids, scores = found.rows.ids, found.scores.tolist()
    nearest_first = sorted(zip(map(neg, scores), ids, range(len(ids)), strict=True))
    order = [row for _, _, row in nearest_first]
    proven = found.complete
    if search.min_score is not None:
        order = [row for row in order if scores[row] >= search.min_score]
        proven = proven and found.exact  # an index may have missed a record that reaches it
    order = order[: search.k]
    shown = _build_hits(found.rows, scores, order[offset:] if offset else order, search.include, schema)
    return Hits(shown, exact=found.exact, complete=proven or len(order) == search.k, shape=(schema, search.include))


def _build_hits(
    rows: Rows, scores: Sequence[float], order: Sequence[int], include: Include, schema: Schema
) -> list[Hit]:
    # distance(score) is distance(0) - score for every metric.
    ids, perfect = rows.ids, schema.metric.distance(0.0)
    if not include:
        return [Hit(ids[row], scores[row], perfect - scores[row]) for row in order]
    nothing = [None] * len(ids)
    texts = rows.texts if "text" in include and rows.texts is not None else nothing
    vectors = rows.vectors if "vector" in include and rows.vectors is not None else nothing
    values: Sequence[Mapping[str, Any] | None] = nothing
    if "metadata" in include and rows.fields is not None and rows.extras is not None:
        values = metadata.join(rows.fields, rows.extras, schema.fields)
    return [Hit(ids[row], scores[row], perfect - scores[row], texts[row], values[row], vectors[row]) for row in order]


def _convert_plain(value: Any) -> Any:
    """Return a metadata value or a vector as JSON data."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _convert_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_convert_plain(each) for each in value]
    return value
