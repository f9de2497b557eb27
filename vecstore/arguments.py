"""Numbers among a user's arguments: their checks, and what messages show of a wrong value."""

from __future__ import annotations

import math

import numpy as np

from .errors import InvalidArgument

_MOST_DIGITS = 20


def check_whole(name: str, value: object, low: int = 1, high: int | None = None, *, hint: str = "") -> int:
    """Return a whole number as an ``int`` if it is in the range; numpy's integers are accepted.

    Parameters
    ----------
    name : str
        What the message calls the value.
    value : object
    low, high : int
        The range, including both; without ``high`` there is no upper limit.
    hint : str
        Ends the message.

    Raises
    ------
    InvalidArgument
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return number
    limits = f"of at least {low:,}" if high is None else f"from {low:,} to {high:,}"
    raise InvalidArgument(f"{name} must be a whole number {limits}, not {describe(value)}.{hint}")


def is_finite(value: object) -> bool:
    """Say whether a value is a finite number; a ``bool`` is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int too large for a double
        return False


def describe(value: object) -> str:
    """Return what a message shows of a wrong value: a number, or the type of anything else.

    Other values are not shown, because arguments in the wrong places are vectors and texts.
    """
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, int):
        return f"{value}" if abs(value) < 10**_MOST_DIGITS else f"an int of more than {_MOST_DIGITS} digits"
    if isinstance(value, float | np.floating | np.integer):
        return repr(value.item() if isinstance(value, np.generic) else value)
    return f"a value of type {type(value).__name__}"
