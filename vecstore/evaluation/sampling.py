"""A sample of a store's records: drawn once, with a seed, through `scan` and `get`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import check_whole
from ..errors import InvalidArgument, UnknownField, close_matches
from .figures import check_seed

if TYPE_CHECKING:
    from ..filters import Filter
    from ..records import Record
    from ..store import VectorStore

MOST = 1_000_000
_SCANNED = 4
"""A sample of more than one record in four is quicker scanned than fetched."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Records of a store that have a vector.

    Attributes
    ----------
    ids : sequence of str
        In order.
    vectors : ndarray, shape (n, dim), float32
    texts : sequence of str or None
    metadata : sequence of mapping
    total : int
        How many records the sample was drawn from, of which some may have no vector.
    seed : int
    """

    ids: Sequence[str]
    vectors: NDArray[np.float32]
    texts: Sequence[str | None]
    metadata: Sequence[Mapping[str, Any]]
    total: int
    seed: int

    def __len__(self) -> int:
        return len(self.ids)

    def pick(self, field: str) -> list[Any]:
        """Return the values of a metadata field, None where a record has none."""
        return [values.get(field) for values in self.metadata]

    def keep(self, rows: NDArray[np.intp]) -> Sample:
        """Return the sample of these rows."""
        chosen = rows.tolist()
        return Sample(
            [self.ids[row] for row in chosen], self.vectors[rows], [self.texts[row] for row in chosen],
            [self.metadata[row] for row in chosen], self.total, self.seed,
        )  # fmt: skip


def draw_sample(
    store: VectorStore, size: int, *, seed: int = 0, where: Filter | Mapping[str, Any] | None = None, texts: bool = True
) -> Sample:
    """Draw records at random, or take all of them if there are no more than ``size``.

    Parameters
    ----------
    store : VectorStore
    size : int, 1 to 1,000,000
    seed : int
        The same store and seed give the same sample, on every backend.
    where : Filter or mapping, optional
    texts : bool
        Read texts too.

    Raises
    ------
    InvalidArgument, InvalidFilter, UnknownField
    """
    size, seed = check_whole("size", size, 1, MOST), check_seed(seed)
    ids = [record.id for record in store.scan(where, include=())]
    total = len(ids)
    parts = ("vector", "metadata", "text") if texts else ("vector", "metadata")
    if total > size:
        rng = np.random.default_rng(seed)
        ids = [ids[row] for row in np.sort(rng.choice(total, size, replace=False)).tolist()]
    if total <= size * _SCANNED:
        chosen = set(ids)
        records = [record for record in store.scan(where, include=parts) if record.id in chosen]
    else:
        records = [record for record in store.get(ids) if record is not None]
    return _make_sample(records, store.schema.dim or 0, total, seed)


def _make_sample(records: Sequence[Record], dim: int, total: int, seed: int) -> Sample:
    found = [record for record in records if record.vector is not None]
    vectors = np.empty((len(found), dim), np.float32)
    for row, record in enumerate(found):
        vectors[row] = record.vector
    texts = [record.text for record in found]
    return Sample([record.id for record in found], vectors, texts, [record.metadata for record in found], total, seed)


def check_field(store: VectorStore, field: str) -> None:
    """Check that records have a metadata field, declared or not, before work begins.

    Raises
    ------
    UnknownField
    """
    if field in store.schema.fields:
        return
    known = [key.name for key in store.keys()]  # noqa: SIM118 - a store is no mapping
    if field not in known:
        raise UnknownField(f"No record of store {store.name!r} has metadata {field!r}.{close_matches(field, known)}")


def choose_labelled(sample: Sample, field: str) -> tuple[Sample, list[str]]:
    """Return the records that have one value in a field, and these values as text.

    A list is a value for each of its elements and therefore no label.

    Raises
    ------
    InvalidArgument
    """
    values = sample.pick(field)
    rows = [
        row for row, value in enumerate(values) if value is not None and not isinstance(value, list | tuple | Mapping)
    ]
    if not rows:
        raise InvalidArgument(f"None of the {len(sample):,} records has a single value in {field!r}.")
    return sample.keep(np.array(rows, np.intp)), [str(values[row]) for row in rows]
