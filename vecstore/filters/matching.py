"""Which records a filter matches: the definition that backends must agree with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ..fields import Stored
from .key_values import matches_key
from .nodes import And, Compare, CompareKey, Filter, Not, Or
from .operators import OPERATORS

_SHORT = 4_096


def matches(condition: Filter, id_: str, fields: Mapping[str, Stored | None], extra: str = "{}") -> bool:
    """Return whether a record matches a bound filter. This is the definition that backends must agree with.

    Parameters
    ----------
    condition : Filter
        A bound filter.
    id_ : str
    fields : mapping
        Stored forms. A missing key and None both mean a missing value.
    extra : str
        Undeclared metadata, as in `Rows.extras`.
    """
    match condition:
        case Compare(name, op, value):
            stored = id_ if name == "id" else fields.get(name)
            return stored is not None and OPERATORS[op](stored, value)
        case CompareKey(path, op, value):
            return matches_key(_parse(extra), path, op, value)
        case And(items):
            return all(matches(item, id_, fields, extra) for item in items)
        case Or(items):
            return any(matches(item, id_, fields, extra) for item in items)
        case Not(item):
            return not matches(item, id_, fields, extra)
    raise TypeError(f"not a bound filter: {type(condition).__name__}")


def _parse(extra: str) -> Any:
    """Return undeclared metadata, which nobody may change."""
    return _parse_short(extra) if len(extra) <= _SHORT else json.loads(extra)


# Most of the time of a filter on an undeclared key would go into reading the same few records again.
_parse_short = lru_cache(maxsize=1_024)(json.loads)
