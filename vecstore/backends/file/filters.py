"""Which rows of a view match a bound filter; `vecstore.filters.matching.matches` is the definition."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np

from vecstore.filters.nodes import And, Compare, CompareKey, Filter, Not, Or

from .state.columns import View
from .state.fields import Mask
from .state.key_column import KeyColumn
from .state.key_columns import NO_KEYS, KeyPath


def match_rows(condition: Filter | None, view: View, keys: Mapping[KeyPath, KeyColumn] = NO_KEYS) -> Mask:
    """Return for each row of a view whether it is stored and matches.

    Parameters
    ----------
    condition : Filter or None
        A bound filter; None matches everything.
    view : View
    keys : mapping
        The columns of the undeclared keys in the filter.

    Returns
    -------
    ndarray of bool, shape (view.size,)
    """
    return view.alive if condition is None else view.alive & _match(condition, view, keys)


def _match(condition: Filter, view: View, keys: Mapping[KeyPath, KeyColumn]) -> Mask:
    match condition:
        case Compare("id", op, value):
            return _match_ids(op, value, view)
        case Compare(name, op, value):
            return view.columns.fields[name].test(op, value, view.size)
        case CompareKey(path, op, value):
            return keys[path].test(op, value, view.size)
        case And(items):
            return reduce(np.logical_and, (_match(item, view, keys) for item in items), np.ones(view.size, np.bool_))
        case Or(items):
            return reduce(np.logical_or, (_match(item, view, keys) for item in items), np.zeros(view.size, np.bool_))
        case Not(item):
            return ~_match(item, view, keys)
    raise TypeError(f"not a bound filter: {type(condition).__name__}")


def _match_ids(op: str, value: Any, view: View) -> Mask:
    if op == "exists":
        return np.ones(view.size, np.bool_)
    found = np.zeros(view.size, np.bool_)
    positions = view.find_positions(value if op == "in" else (value,))
    found[positions[positions >= 0]] = True
    return found
