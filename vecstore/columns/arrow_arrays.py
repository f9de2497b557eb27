"""Arrow arrays as the columns of a batch."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidMetadata, InvalidVector
from ..fields import MAX_INT
from .batch import Column, Instants, PackedVectors

if TYPE_CHECKING:
    import pyarrow as pa

_STORAGES = frozenset({"arrow.json", "arrow.fixed_shape_tensor", "arrow.opaque"})
"""Extension types whose storage is what they mean."""
_PER_MICRO = {"s": 1_000_000, "ms": 1_000, "us": 1}
_LARGEST = np.iinfo(np.int64).max


def combine(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array whose values are not encoded by a dictionary or by runs."""
    import pyarrow as pa

    chunks = [_decode(chunk) for chunk in column.chunks]
    if len(chunks) == 1:
        return chunks[0]
    return pa.concat_arrays(chunks) if chunks else _decode(pa.array([], column.type))


def _decode(array: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    while True:
        if isinstance(array, pa.DictionaryArray):
            # Kernels take no views, in which polars has its strings.
            array = pa.DictionaryArray.from_arrays(array.indices, _decode(array.dictionary)).dictionary_decode()
        elif pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
            array = array.cast(pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary())
        elif pa.types.is_run_end_encoded(array.type):
            array = pc.run_end_decode(array)
        elif isinstance(array, pa.ExtensionArray) and array.type.extension_name in _STORAGES:
            array = array.storage
        elif isinstance(array, pa.ExtensionArray) and array.type.extension_name == "arrow.bool8":
            array = array.cast(pa.bool_())
        else:
            return array


def read_vectors(array: Any, name: str) -> PackedVectors | None:
    """Return an array of lists of numbers; None where no row has one.

    Raises
    ------
    InvalidVector
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    types, kind = pa.types, array.type
    if types.is_null(kind):
        return None
    tests = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    if not any(test(kind) for test in tests):
        raise InvalidVector(
            f"The column {name!a} is of type {str(kind)[:60]}, not lists of numbers. Convert it; texts are read with "
            "json.loads(text)."
        )
    present = None if not array.null_count else array.is_valid().to_numpy(zero_copy_only=False)
    flat, lengths = array.flatten(), None
    if types.is_fixed_size_list(kind):
        lengths = kind.list_size
    else:
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy().astype(np.int64)
    numbers, gap = _read_numbers(_decode(flat), name)
    return PackedVectors(numbers, lengths, present, gap)


def _read_numbers(flat: Any, name: str) -> tuple[Any, int | None]:
    """Return numbers as an array, and the place of the first one that is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(flat.type):
        return np.zeros(len(flat), np.float32), 0 if len(flat) else None
    if not (pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type)):
        raise InvalidVector(
            f"The column {name!a} has lists of {str(flat.type)[:60]}, not of numbers. Cast it to lists of float."
        )
    if not flat.null_count:
        return flat.to_numpy(zero_copy_only=False), None
    gap = int(np.argmax(flat.is_null().to_numpy(zero_copy_only=False)))
    return pc.fill_null(flat, 0).to_numpy(zero_copy_only=False), gap


def read_values(array: Any, name: str, first: int) -> Column:
    """Return an array as plain values, None for missing ones and NaN.

    Raises
    ------
    InvalidMetadata
        The array has a type that stands for nothing in Python.
    """
    import pyarrow as pa

    kind = array.type
    if pa.types.is_timestamp(kind):
        return _read_instants(array)
    if pa.types.is_floating(kind):
        return read_floats(array.to_numpy(zero_copy_only=False))
    if pa.types.is_integer(kind) and not array.null_count:
        numbers: list[Any] = array.to_numpy().tolist()
        return numbers
    if isinstance(array, pa.ExtensionArray) or pa.types.is_interval(kind):
        raise InvalidMetadata(f"The column {name[:60]!a} is of type {str(kind)[:60]}, which is not read. Make it text.")
    return _list_values(array, name, first)


def read_floats(numbers: Any) -> list[Any]:
    """Return floats as a list, with None for NaN."""
    values: list[Any] = numbers.tolist()
    for place in np.flatnonzero(np.isnan(numbers)).tolist():
        values[place] = None
    return values


def read_nested(array: Any, name: str, first: int) -> list[dict[str, Any]]:
    """Return the further metadata in each row of a struct, a map or JSON texts.

    Raises
    ------
    InvalidMetadata
    """
    values = _list_values(array, name, first)
    return [
        {} if value is None else value if isinstance(value, dict) else _parse_object(value, name, first + row)
        for row, value in enumerate(values)
    ]


def _parse_object(text: str, name: str, row: int) -> dict[str, Any]:
    """Return the object of a JSON text. A text that is none is a value like others."""
    if not text.lstrip().startswith("{"):
        return {name: text}
    try:
        found: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidMetadata(
            f"Row {row}: the column {name!a} begins with a brace but is no JSON object. Correct it, or rename the "
            "column to keep the text."
        ) from error
    return found


def _list_values(array: Any, name: str, first: int) -> list[Any]:
    import pyarrow as pa

    listed: Callable[..., list[Any]] = array.to_pylist
    try:
        return listed(maps_as_pydicts="strict") if pa.types.is_nested(array.type) else listed()
    except (pa.ArrowException, KeyError, ValueError, OverflowError) as error:
        raise InvalidMetadata(
            f"The column {name[:60]!a} has a value from row {first} on that Python cannot represent, or a key twice in "
            "one map. Make it text."
        ) from error


def _read_instants(array: Any) -> Instants:
    """Return dates as microseconds, rounded down where the type is finer."""
    import pyarrow as pa

    unit, zone = array.type.unit, array.type.tz
    counts = array.cast(pa.int64())
    missing = counts.is_null().to_numpy(zero_copy_only=False)
    numbers = counts.fill_null(0).to_numpy()
    if unit == "ns":
        micros = numbers // 1_000
    else:
        factor = _PER_MICRO[unit]
        limit = _LARGEST // factor
        # Beyond the limit of a date in any case, and the product must not wrap around.
        micros = np.where(np.abs(numbers) > limit, MAX_INT + 1, np.clip(numbers, -limit, limit) * factor)
    values: list[int | None] = micros.tolist()
    for place in np.flatnonzero(missing).tolist():
        values[place] = None
    return Instants(values, has_zone=zone is not None)
