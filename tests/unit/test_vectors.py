from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vecstore import DimensionMismatch, InvalidVector, Schema
from vecstore.rows.vectors import as_matrix, as_queries, compute_norms

FLOATS = st.just(-0.0) | st.floats(1e-14, 6e4) | st.floats(-6e4, -1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@given(rows=st.lists(arrays(np.float64, 3, elements=FLOATS), min_size=1, max_size=4))
def test_a_matrix_has_the_bits_of_asarray(dtype: str, rows: list[Any]) -> None:
    matrix = as_matrix([*rows, rows[0].tolist()], Schema(dim=3, metric="l2", dtype=dtype), ["v"] * (len(rows) + 1))
    assert matrix.dtype == np.dtype(dtype)
    assert matrix.flags.c_contiguous
    assert matrix.tobytes() == b"".join(np.asarray(row, dtype).tobytes() for row in [*rows, rows[0]])


def test_nothing_is_a_matrix_too() -> None:
    assert as_matrix([], Schema(dim=3), []).shape == (0, 3)
    assert as_queries([], Schema(dim=3)).shape == (0, 3)


def test_queries_keep_float32_whatever_the_store_has() -> None:
    queries = as_queries([[0.1, 2049.0]], Schema(dim=2, dtype="float16"))
    assert queries.tobytes() == np.array([0.1, 2049.0], np.float32).tobytes()


def test_the_culprit_is_named() -> None:
    names = ["Record 'a'", "Record 'b'", "Record 'c'"]
    for bad in ([1.0], [0.0, 0.0], [float("nan"), 1.0], [1e-16, 0.0], [1e16, 0.0]):
        with pytest.raises(InvalidVector, match="Record 'b': "):
            as_matrix([[1.0, 1.0], bad, [2.0, 2.0]], Schema(dim=2), names)
    with pytest.raises(InvalidVector, match="The query: "):
        as_queries([[0.0, 0.0]], Schema(dim=2))
    with pytest.raises(DimensionMismatch, match="Query 1: the vector has 3 dimensions, but the store has 2"):
        as_queries([[1.0, 1.0], [1.0, 1.0, 1.0]], Schema(dim=2))


def test_what_numpy_cannot_read() -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> Any:
            raise RuntimeError("Can't call numpy() on a tensor that requires grad")

    with pytest.raises(InvalidVector, match="the vector is a Tensor, not an array of numbers"):
        as_queries([Tensor()], Schema(dim=2))


def test_norms_do_not_overflow_in_the_dtype() -> None:
    assert compute_norms(np.array([[3e4, 4e4], [0, 0]], np.float16)).tolist() == [50_000.0, 0.0]
    assert compute_norms(np.array([[3e30, 4e30]], np.float32))[0] == pytest.approx(5e30)
