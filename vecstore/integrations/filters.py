"""What the adapters share about filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..filters.nodes import Filter
from ..selection import Where


def read_where(given: Filter | Mapping[str, Any] | None) -> Where:
    """Return the condition of a read: an empty mapping is none, as callers of the frameworks mean it.

    A delete does not use this: there an empty condition is refused.
    """
    return None if isinstance(given, Mapping) and not given else given
