"""How many records one request holds: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vecstore.fields import Stored

from .fields import CollectionLayout

ROWS, BYTES = 5_000, 16 * 2**20
"""At most. The server takes 64 MiB, and holds a request in memory several times."""
_LONGEST_CHARACTER = 4
_EACH_VALUE, _EACH_ITEM = 32, 8


def cut_batches(
    layout: CollectionLayout, ids: Sequence[str], fields: Mapping[str, Sequence[Stored | None]]
) -> Iterator[slice]:
    """Yield parts of some records that one request can hold, however long their values are; each has one at least."""
    held = [fields[name] for name in layout.held if name in fields]
    fixed = 4 * layout.dim + _EACH_VALUE * (len(held) + 1)
    start, size = 0, 0
    for row, id_ in enumerate(ids):
        bytes_ = fixed + _LONGEST_CHARACTER * len(id_) + sum(_measure(values[row]) for values in held)
        if row > start and (size + bytes_ > BYTES or row - start >= ROWS):
            yield slice(start, row)
            start, size = row, 0
        size += bytes_
    if start < len(ids):
        yield slice(start, len(ids))


def _measure(value: Stored | None) -> int:
    """Return about how many bytes a value takes, rather too many than too few."""
    if isinstance(value, str):
        return _LONGEST_CHARACTER * len(value)
    if isinstance(value, tuple):
        return sum(_LONGEST_CHARACTER * len(each) + _EACH_ITEM for each in value)
    return 0
