"""The limits of filters: nesting, parts and values."""

from __future__ import annotations

from ..errors import InvalidFilter
from .nodes import And, Filter, Not, Or

MAX_DEPTH = 32
MAX_NODES = 512
MAX_VALUES = 10_000
"""Values of one list operator."""
MAX_KEY_BYTES = 512
"""UTF-8 of an undeclared key in a filter."""
MAX_PATH = 32
"""Keys of a path."""


def check_size(condition: Filter) -> None:
    """Refuse a filter that is nested too deep or has too many parts.

    Raises
    ------
    InvalidFilter
    """
    nodes, pending = 0, [(condition, 1)]
    while pending:
        item, depth = pending.pop()
        nodes += 1
        if depth > MAX_DEPTH:
            raise InvalidFilter(f"The filter is nested deeper than {MAX_DEPTH}.")
        if nodes > MAX_NODES:
            raise InvalidFilter(
                f"The filter has more than {MAX_NODES} parts. Use in_() to match many values of one field."
            )
        if isinstance(item, And | Or):
            pending += [(child, depth + 1) for child in item.items]
        elif isinstance(item, Not):
            pending.append((item.item, depth + 1))
