"""Missing values as numpy, pandas and Decimal write them: NaN, NaT and ``pandas.NA``."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

_PRESENT = frozenset({str, int, bool, list, dict, tuple, np.ndarray, type(None)})
_PANDAS = {"NAType": "pandas.NA", "NaTType": "NaT"}


def name_missing(value: object) -> str | None:
    """Return the name of a missing value other than None, such as ``"NaN"``; None for every other value."""
    kind = type(value)
    if kind in _PRESENT:
        return None
    if kind.__name__ in _PANDAS and kind.__module__.startswith("pandas."):
        return _PANDAS[kind.__name__]
    if isinstance(value, np.datetime64 | np.timedelta64):
        return "NaT" if np.isnat(value) else None
    if isinstance(value, Decimal):
        return "NaN" if value.is_nan() else None
    if isinstance(value, float | np.floating):
        return "NaN" if value != value else None
    return None
