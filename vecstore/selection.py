"""The records that an update or a delete selects: by ids, or by a filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .backend import Selection
from .errors import InvalidArgument
from .filters.binding import bind
from .filters.nodes import Filter
from .schema import Schema

Where = Filter | Mapping[str, Any] | None


def make_selection(ids: list[str] | None, where: Where, schema: Schema) -> Selection:
    """Return what a backend gets for ``ids`` and ``where``, exactly one of which is given.

    Raises
    ------
    InvalidArgument, InvalidFilter, UnknownField
    """
    if ids is not None and where is None:
        return ids
    bound = bind(where, schema)
    if bound is None or ids is not None:
        raise InvalidArgument("Give either ids=[…] or where=…. To select every record, give where=vecstore.ALL.")
    return bound
