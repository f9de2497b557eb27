"""Which records a filter matches: the definition that backends must agree with."""

from __future__ import annotations

from collections.abc import Mapping

from ..fields import Stored
from .nodes import And, Compare, Filter, Not, Or
from .operators import OPERATORS


def matches(condition: Filter, id_: str, fields: Mapping[str, Stored | None]) -> bool:
    """Return whether a record matches a bound filter. This is the definition that backends must agree with.

    Parameters
    ----------
    condition : Filter
        A bound filter.
    id_ : str
    fields : mapping
        Stored forms. A missing key and None both mean a missing value.
    """
    match condition:
        case Compare(name, op, value):
            stored = id_ if name == "id" else fields.get(name)
            return stored is not None and OPERATORS[op](stored, value)
        case And(items):
            return all(matches(item, id_, fields) for item in items)
        case Or(items):
            return any(matches(item, id_, fields) for item in items)
        case Not(item):
            return not matches(item, id_, fields)
    raise TypeError(f"not a bound filter: {type(condition).__name__}")
