"""One batch of records by column, read and not yet checked against a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Instants:
    """A column of dates as microseconds since 1970.

    Attributes
    ----------
    micros : list of int or None
    has_zone : bool
        Whether they are points in time; otherwise they are what a clock shows somewhere.
    """

    micros: list[int | None]
    has_zone: bool


@dataclass(frozen=True, slots=True, eq=False)
class PackedVectors:
    """A column of vectors in one array of numbers.

    Attributes
    ----------
    numbers : ndarray
        Of the vectors that are present, one after another.
    lengths : int or ndarray of int64, shape (n,)
        How many numbers each row has, 0 for a missing vector; one int if all present rows have as many.
    present : ndarray of bool, shape (n,), optional
        Which rows have a vector; None: all.
    gap : int, optional
        Where among the numbers one is missing.
    """

    numbers: NDArray[Any]
    lengths: int | NDArray[np.int64]
    present: NDArray[np.bool_] | None = None
    gap: int | None = None

    @property
    def missing(self) -> list[int]:
        """The rows without a vector."""
        return [] if self.present is None else np.flatnonzero(~self.present).tolist()


@dataclass(frozen=True, slots=True, eq=False)
class ListedVectors:
    """A column of vectors as separate objects, None where one is missing."""

    vectors: Sequence[ArrayLike | None]

    @property
    def missing(self) -> list[int]:
        """The rows without a vector."""
        return [row for row, vector in enumerate(self.vectors) if vector is None]


Column = list[Any] | Instants
"""The values of one metadata key; None for a missing one."""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnBatch:
    """The columns of one batch.

    Attributes
    ----------
    first : int
        The number of the first row in the user's columns.
    ids : list
    vectors : PackedVectors or ListedVectors, optional
        None: no row has one.
    texts : list, optional
        None: no row has one.
    metadata : mapping of str to Column
    nested : list of dict, optional
        Further metadata of each row, from a column that holds several keys.
    """

    first: int
    ids: list[Any]
    vectors: PackedVectors | ListedVectors | None
    texts: list[Any] | None
    metadata: Mapping[str, Column] = field(default_factory=dict)
    nested: list[dict[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def bare(self) -> Sequence[int]:
        """The rows without a vector."""
        return range(len(self.ids)) if self.vectors is None else self.vectors.missing
