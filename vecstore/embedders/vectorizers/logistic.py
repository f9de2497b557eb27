"""The logistic function, by which models turn a number into a chance or a gate."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Float = TypeVar("_Float", bound=np.floating[Any])


def squash(values: NDArray[_Float]) -> NDArray[_Float]:
    """Return the logistic function of numbers, in their own precision; by way of tanh it never overflows."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values), values.dtype)
