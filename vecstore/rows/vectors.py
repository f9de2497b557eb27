"""Vectors: which ones are accepted, and their conversion to the matrix that a backend stores or searches with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DimensionMismatch, InvalidVector
from ..metric import Metric
from ..schema import Schema
from .vector_faults import describe_dtype, describe_object, describe_ragged, describe_shape, describe_unreadable

MIN_NORM = 1e-15
MAX_NORM = 1e15
_PLAIN = (1e-25, 1e25)
"""Squared norms in this range are within the limits despite float32 rounding."""
_ROWS = 512
_MAKE_AGAIN = "Make the vector again, or leave it out."


def as_matrix(vectors: Sequence[ArrayLike], schema: Schema, names: Sequence[str]) -> NDArray[Any]:
    """Return vectors as one matrix in the schema's dtype, bit by bit as ``np.asarray(v, dtype)`` converts them.

    Parameters
    ----------
    vectors : sequence of array_like, each of shape (dim,)
    schema : Schema
    names : sequence of str
        What error messages call each vector, such as ``"Record 'a1'"``.

    Returns
    -------
    ndarray, shape (n, dim), C-contiguous

    Raises
    ------
    DimensionMismatch, InvalidVector
    """
    shape, dtype = (schema.width,), np.dtype(schema.dtype)
    if set(map(type, vectors)) == {np.ndarray} and {(each.shape, each.dtype) for each in vectors} == {(shape, dtype)}:  # type: ignore[union-attr]
        matrix = np.concatenate(vectors).reshape(len(vectors), schema.width)
        check_values(matrix, schema, names)
        return matrix
    matrix = np.empty((len(vectors), schema.width), schema.dtype)
    with np.errstate(over="ignore"):
        for row, (vector, name) in enumerate(zip(vectors, names, strict=True)):
            matrix[row] = _check_vector(vector, schema.width, name)
    check_values(matrix, schema, names)
    return matrix


def name_queries(count: int) -> list[str]:
    """Return what error messages call the queries of one call."""
    return ["The query"] if count == 1 else [f"Query {number}" for number in range(count)]


def as_queries(vectors: Sequence[ArrayLike], schema: Schema) -> NDArray[np.float32]:
    """Return query vectors as one float32 matrix, checked like stored vectors.

    Raises
    ------
    DimensionMismatch, InvalidVector
    """
    matrix = as_matrix(vectors, schema, name_queries(len(vectors)))
    if matrix.dtype == np.float32:
        return matrix
    # The query keeps the precision that the stored dtype would take from it.
    matrix = np.empty((len(vectors), schema.width), np.float32)
    for row, vector in enumerate(vectors):
        matrix[row] = np.asarray(vector)
    return matrix


def _check_vector(vector: ArrayLike, dim: int, name: str) -> NDArray[Any]:
    if fault := describe_unreadable(vector, dim):
        raise InvalidVector(f"{name}: {fault}")
    try:
        array = np.asarray(vector)
    except (ValueError, RuntimeError, TypeError) as error:  # ragged; or a tensor with gradients, or on a GPU
        fault = describe_ragged(vector, dim) if isinstance(vector, list | tuple) else describe_object(vector, dim)
        raise InvalidVector(f"{name}: {fault}") from error
    if array.dtype.kind not in "iuf":
        raise InvalidVector(f"{name}: {describe_dtype(vector, array, dim)}")
    if array.shape != (dim,):
        raise DimensionMismatch(f"{name}: {describe_shape(array, dim)}")
    if array.dtype.kind == "f" and array.dtype.itemsize > 4 and not np.isfinite(array).all():
        position = int(np.argmin(np.isfinite(array)))
        raise InvalidVector(f"{name}: the vector contains NaN or infinity at position {position}. {_MAKE_AGAIN}")
    return array


def check_values(matrix: NDArray[Any], schema: Schema, names: Sequence[str]) -> None:
    """Refuse rows of a matrix in the schema's dtype that are not finite, or whose norm is out of range.

    Raises
    ------
    InvalidVector
    """
    if matrix.dtype == np.float32 and _are_ordinary(matrix):
        return
    norms = compute_norms(matrix)
    if ((norms >= MIN_NORM) & (norms <= MAX_NORM)).all():
        return
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        position = int(np.argmin(np.isfinite(matrix[row])))
        raise InvalidVector(
            f"{names[row]}: the vector contains NaN, infinity or a number too large for {schema.dtype} "
            f"at position {position}. {_MAKE_AGAIN}"
        )
    zero = norms == 0
    if zero.any() and schema.metric is Metric.COSINE:
        name = names[int(np.argmax(zero))]
        raise InvalidVector(
            f"{name}: the vector is zero in {schema.dtype}, so cosine has no direction to compare. "
            "Leave it out, or use a store with metric='ip' or 'l2'."
        )
    outside = ~zero & ((norms < MIN_NORM) | (norms > MAX_NORM))
    if outside.any():
        name = names[int(np.argmax(outside))]
        raise InvalidVector(
            f"{name}: the vector's norm is outside the range {MIN_NORM:g} to {MAX_NORM:g}. Scale the vectors."
        )


def _are_ordinary(matrix: NDArray[np.float32]) -> bool:
    """Return whether all norms are so far within the limits that float32 arithmetic can tell."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", matrix, matrix)
    return bool(((squares >= _PLAIN[0]) & (squares <= _PLAIN[1])).all())


def compute_norms(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Return the Euclidean norm of every row, in float64."""
    if len(matrix) <= _ROWS:
        return np.sqrt(_sum_squares(matrix))
    squares: NDArray[np.float64] = np.empty(len(matrix))
    for start in range(0, len(matrix), _ROWS):
        # In pieces that fit into the processor's cache.
        squares[start : start + _ROWS] = _sum_squares(matrix[start : start + _ROWS])
    return np.sqrt(squares)


def _sum_squares(matrix: NDArray[Any]) -> NDArray[np.float64]:
    wide = matrix.astype(np.float64, copy=False)
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", wide, wide)
    return squares
