"""Batches of records: validated, embedded, and converted to the columns that a backend stores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..arguments import check_whole
from ..errors import InvalidArgument
from ..records import Record
from . import metadata
from .mappings import make_record
from .no_records import describe_container, describe_item, is_container

BATCH_RECORDS = 5_000
BATCH_BYTES = 16 << 20

_FEW = 64
_SIMPLE = frozenset({str, int, float, bool, type(None)})


def cut_batches(
    records: Iterable[Record | Mapping[str, Any]], batch_size: int | None, vector_bytes: int
) -> Iterator[list[Record]]:
    """Cut an iterable, consumed once, into lists of ``batch_size`` records or 16 MiB, whichever comes first."""
    if is_container(records) or not isinstance(records, Iterable):
        raise InvalidArgument(describe_container(records))
    most = BATCH_RECORDS if batch_size is None else check_whole("batch_size", batch_size)
    batch: list[Record] = []
    size = 0
    for number, given in enumerate(records):
        record = given if isinstance(given, Record) else _read_item(given, number)
        batch.append(record)
        size += (
            vector_bytes + _estimate_bytes(record.metadata) + (len(record.text) if isinstance(record.text, str) else 0)
        )
        if record.item is not None:
            size += _estimate_item(record.item)
        if len(batch) >= most or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read_item(given: object, number: int) -> Record:
    if not isinstance(given, Mapping):
        raise InvalidArgument(describe_item(given, number))
    return make_record(given, number)


def _estimate_item(item: object) -> int:
    """Estimate what an item takes in memory: an array says it, an image has a width and a height of pixels."""
    given = getattr(item, "nbytes", None)
    if isinstance(given, int):
        return given
    if isinstance(item, str | bytes):
        return len(item)
    size = getattr(item, "size", None)
    return 4 * size[0] * size[1] if isinstance(size, tuple) and set(map(type, size)) == {int} and len(size) == 2 else 0


def _estimate_bytes(value: object) -> int:
    """Estimate the size of metadata as JSON. Counting stops at the limit, beyond which it is refused later."""
    if type(value) is dict and len(value) <= _FEW:
        # The fast path: most metadata is a few strings and numbers.
        size = 0
        for key, each in value.items():
            if type(key) is not str or type(each) not in _SIMPLE:
                break
            size += len(key) + (len(each) if type(each) is str else 8)
        else:
            return size
    size, pending = 0, [value]
    while pending and size <= metadata.MAX_BYTES:
        value = pending.pop()
        size += len(value) if isinstance(value, str) else 8
        if isinstance(value, Mapping):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            pending += value
    return size
