"""The check of vectors that a model returned: shape, NaN, infinity, zeros; and their scaling to length 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DimensionMismatch, InvalidVector

Float32Array: TypeAlias = NDArray[np.float32]


def check_shape(raw: ArrayLike, items: int, dim: int | None, model: str) -> Float32Array:
    """Return what a model returned for a number of items as a matrix with one row per text.

    Raises
    ------
    InvalidVector, DimensionMismatch
    """
    try:
        with np.errstate(over="ignore"):  # overflow becomes infinity and is refused later with its position
            rows = np.asarray(raw, np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidVector(f"{model!r} did not return numbers in the shape (n, dim).") from error
    if rows.ndim != 2 or len(rows) != items or rows.shape[1] == 0:
        raise InvalidVector(f"{model!r} returned an array of shape {rows.shape} for {items} items.")
    if dim is not None and rows.shape[1] != dim:
        raise DimensionMismatch(f"{model!r} returned vectors of {rows.shape[1]} dimensions where {dim} were expected.")
    return rows


def finish_rows(
    rows: Float32Array,
    positions: list[int],
    label: Callable[[int], str],
    model: str,
    *,
    normalize: bool,
    allow_zero: bool,
    on_unknown: str = "error",
) -> Float32Array:
    """Check the values of rows, and scale them to length 1 under ``normalize``.

    A row of zeros becomes one of NaN where ``on_unknown`` is ``"skip"``.

    Raises
    ------
    InvalidVector
    """
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if broken.size:
        worst = label(min(positions[row] for row in broken))
        raise InvalidVector(f"{worst}: {model!r} returned a vector with NaN or infinity.")
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    empty = np.flatnonzero(norms == 0)
    if empty.size and on_unknown == "skip":
        rows = rows.copy()
        rows[empty] = np.nan
        norms[empty] = 1
    elif empty.size and not allow_zero:
        worst = label(min(positions[row] for row in empty))
        raise InvalidVector(
            f"{worst}: {model!r} returned a vector of zeros, because the item contains nothing that the model "
            "knows. Leave it out, or give a vector instead."
        )
    return np.asarray(rows / norms[:, np.newaxis], np.float32) if normalize else rows
