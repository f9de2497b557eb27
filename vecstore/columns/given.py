"""`Columns`: records by column, as an application gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class ArrowStream(Protocol):
    """A table that hands over its columns by Arrow's C stream: of pyarrow, pandas, polars, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a capsule with the stream."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Records by column, for `VectorStore.upsert` and `VectorStore.insert`: what is in row n of each belongs together.

    Parameters
    ----------
    ids : sequence of str, or array
    vectors : array_like, shape (n, dim), optional
        Any real numbers. Without it the store's embedder makes them from ``texts``; in a list, None stands for a
        vector that is missing. Where the schema says ``vectors="optional"``, a row without text, or in a store
        without embedder, has none.
    texts : sequence of str, or array, optional
    metadata : mapping of str to sequence or array
        A column for each key. None, NaN, NaT, ``pandas.NA`` and what a mask covers are missing values. A declared
        ``Int`` takes whole floats, because a column of integers with gaps is one of floats in numpy and pandas.
    """

    ids: Any
    vectors: Any = None
    texts: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        """Show no values, because representations end up in logs."""
        has = [name for name in ("vectors", "texts") if getattr(self, name) is not None]
        return f"<Columns {', '.join(['ids', *has, *map(ascii, self.metadata)])}>"
