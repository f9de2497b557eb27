"""Records that are stored already: `vecstore add` does not write them again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..fields import DateTime, Field, Float
from ..records import Record
from ..rows.conversion import needs_embedding
from ..schema import Schema


def is_unchanged(new: Record, old: Record, schema: Schema) -> bool:
    """Say whether a stored record equals a new one; a vector made from the same text is the same."""
    # Compared as text, because 1, 1.0 and True are equal but not the same metadata.
    values = {
        key: repr(_convert_to_stored(value, schema.fields.get(key)))
        for key, value in new.metadata.items()
        if value is not None
    }
    if new.text != old.text or values != {key: repr(value) for key, value in old.metadata.items()}:
        return False
    if new.vector is None or old.vector is None:
        return new.vector is None and needs_embedding(new) is (old.vector is not None)
    vector: Any = old.vector
    try:
        with np.errstate(over="ignore"):
            return np.array_equal(np.asarray(new.vector, vector.dtype), vector)
    except (OverflowError, TypeError, ValueError):
        return False  # not a vector; the write says why


def _convert_to_stored(value: Any, declared: Field | None) -> Any:
    """Return the value that a field returns for a valid one that it was given."""
    if isinstance(declared, Float) and type(value) is int:
        return float(value)
    if isinstance(declared, DateTime) and isinstance(value, datetime) and value.tzinfo:
        moment = value.astimezone(UTC)
        return moment.isoformat() if declared.text else moment
    return value
