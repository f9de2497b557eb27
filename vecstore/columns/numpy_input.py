"""Reading of `Columns`: numpy arrays, lists and single columns of data frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InvalidArgument, InvalidVector
from ..rows.batches import BATCH_BYTES
from ..rows.missing import name_missing
from ..rows.vector_faults import describe_object
from .arrow_arrays import combine, read_floats, read_values, read_vectors
from .arrow_input import import_pyarrow
from .batch import Column, ColumnBatch, Instants, ListedVectors, PackedVectors
from .given import Columns

_ARROW = ("__arrow_c_stream__", "__arrow_c_array__")
_PRESENT = frozenset({str, int, bool, list, tuple, dict, np.ndarray, type(None)})
_SIMPLE = frozenset({str, int, bool, float, type(None)})
_SMALL = 8
"""About how many bytes a number takes."""


def read_batches(given: Columns, most: int, vector_bytes: int) -> Iterator[ColumnBatch]:
    """Read columns in batches of up to ``most`` rows or 16 MiB, whichever comes first.

    Raises
    ------
    InvalidArgument
    """
    if not isinstance(given.metadata, Mapping):
        raise InvalidArgument("metadata must be a mapping of keys to columns, for example {'year': [2024, 2020]}.")
    ids = _open_column("ids", given.ids)
    vectors = None if given.vectors is None else _open_column("vectors", given.vectors)
    texts = None if given.texts is None else _open_column("texts", given.texts)
    metadata = {key: _open_column(f"metadata {key!a:.60}", column) for key, column in given.metadata.items()}
    named = {"vectors": vectors, "texts": texts, **{f"metadata {key!a:.60}": each for key, each in metadata.items()}}
    for name, column in named.items():
        if column is not None and len(column) != len(ids):
            raise InvalidArgument(f"The column {name} has {len(column):,} rows, but there are {len(ids):,} ids.")
    start = 0
    while start < len(ids):
        end = min(start + most, len(ids))
        window = [
            _list_plain(ids[start:end], "id", start),
            None if texts is None else _list_plain(texts[start:end], "text", start),
            *(_read_column(column[start:end], key, start) for key, column in metadata.items()),
        ]
        rows = _find_end(end - start, window, vector_bytes)
        listed, written, *others = [column if rows == end - start else _take_first(column, rows) for column in window]
        end = start + rows
        read = None if vectors is None else _read_vectors(vectors[start:end])
        yield ColumnBatch(start, listed, read, written, dict(zip(metadata, others, strict=True)))  # type: ignore[arg-type]
        start = end


def _open_column(name: str, given: Any) -> Any:
    """Return a column that has a length and slices: an array, a list or an Arrow array."""
    if isinstance(given, str | bytes | Mapping):
        raise InvalidArgument(f"The column {name} must be a list or an array, not {type(given).__name__}.")
    if isinstance(given, np.ndarray | list):
        if isinstance(given, np.ndarray) and not given.ndim:
            raise InvalidArgument(f"The column {name} is a single value. Give an array with one value for each row.")
        return given
    if any(hasattr(type(given), method) for method in _ARROW):
        pa = import_pyarrow()
        try:
            return pa.chunked_array(given)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InvalidArgument(f"The column {name} cannot be read as an Arrow array; the cause is above.") from error
    if hasattr(type(given), "__array__"):
        try:
            return np.asarray(given)
        except (TypeError, ValueError, RuntimeError) as error:  # a tensor with gradients, or on a GPU
            raise InvalidVector(f"The column {name}: {describe_object(given, 0)}") from error
    if not isinstance(given, Sequence):
        raise InvalidArgument(f"The column {name} must be a list or an array, not {type(given).__name__}.")
    return list(given)


def _read_column(column: Any, name: str, first: int) -> Column:
    """Return a part of a column as plain values, None for missing ones."""
    if isinstance(column, list):
        return _list_present(column)
    if not isinstance(column, np.ndarray):
        return read_values(combine(column), name, first)
    kind = column.dtype.kind
    if isinstance(column, np.ma.MaskedArray) or column.ndim > 1:
        return _list_present(column.tolist())
    if kind == "f":
        return read_floats(column)
    if kind == "M":
        micros, missing = column.astype("datetime64[us]").astype(np.int64).tolist(), np.isnat(column).tolist()
        return Instants([None if gone else each for each, gone in zip(micros, missing, strict=True)], has_zone=False)
    return column.tolist() if kind in "biuU" else _list_present(list(column))


def _list_plain(column: Any, name: str, first: int) -> list[Any]:
    found = _read_column(column, name, first)
    return list(found.micros) if isinstance(found, Instants) else found


def _list_present(values: list[Any]) -> list[Any]:
    """Return values with None in place of those that stand for a missing one."""
    kinds = set(map(type, values))
    if kinds <= _PRESENT:
        return values
    if kinds <= _SIMPLE:
        return [None if value != value else value for value in values]
    return [None if name_missing(value) else value for value in values]


def _read_vectors(column: Any) -> PackedVectors | ListedVectors | None:
    if isinstance(column, list):
        return ListedVectors(_list_present(column))
    if not isinstance(column, np.ndarray):
        return read_vectors(combine(column), "vectors")
    if column.ndim == 1 and column.dtype.kind == "O":
        return ListedVectors(_list_present(list(column)))
    if column.ndim != 2:
        raise InvalidVector(f"The vectors have shape {column.shape}, not one row for each id. Give shape (n, dim).")
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    gap = None if mask is None or not mask.any() else int(np.argmax(mask))
    return PackedVectors(np.asarray(column), column.shape[1], None, gap)


def _find_end(count: int, columns: Sequence[Column | None], vector_bytes: int) -> int:
    """Return how many of the first rows make a batch."""
    sizes = np.full(count, vector_bytes, np.int64)
    for column in columns:
        if isinstance(column, list):
            sizes += [len(value) if isinstance(value, str) else _SMALL for value in column]
    return min(count, int(np.searchsorted(np.cumsum(sizes), BATCH_BYTES)) + 1)


def _take_first(column: Column | None, rows: int) -> Column | None:
    if isinstance(column, Instants):
        return Instants(column.micros[:rows], column.has_zone)
    return None if column is None else column[:rows]
