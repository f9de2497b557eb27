"""Columns of undeclared keys, built from the rows when a filter first uses a key, and kept within a budget.

A column belongs to the rows in memory, as those of declared fields do. It reads only rows that it does not cover yet,
so it follows the commits. A row never changes; one that was removed before it was read is unknown, and a reader of an
older commit that still has it starts again with the newest one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vecstore.filters.key_values import read_path
from vecstore.filters.nodes import And, CompareKey, Filter, Not, Or

from .key_column import KeyColumn
from .rows import Vanished, read_extras

if TYPE_CHECKING:
    from ..storage.connections import SqliteConnection
    from .columns import View

BUDGET = 128 << 20
_CHUNK = 4_096
_GONE = b"null"
_EMPTY = b"{}"

KeyPath = tuple[str, ...]
NO_KEYS: Mapping[KeyPath, KeyColumn] = MappingProxyType({})


class KeyColumns:
    """The columns of the keys that filters used last; threads share it.

    Columns that exceed the budget are forgotten, those used longest ago first, except for those of the last filter.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._known: dict[KeyPath, KeyColumn] = {}
        self._clock = count()
        self._lock = Lock()

    @property
    def size(self) -> int:
        """About how many bytes all columns take."""
        return sum(column.size for column in list(self._known.values()))

    def load(
        self, condition: Filter, view: View, connection: SqliteConnection, path: Path
    ) -> Mapping[KeyPath, KeyColumn]:
        """Return the columns of the keys in a filter, which cover the rows of a view.

        Raises
        ------
        StoreCorrupt
        Vanished
            A row of the view was removed by a later commit.
        """
        keys = set(_list_paths(condition))
        found = {key: column for key in keys if (column := self._known.get(key)) and column.rows >= view.size}
        if len(found) < len(keys):
            found = self._extend(keys, view, connection, path)
        for column in found.values():
            column.used = next(self._clock)
            unknown = column.unknown
            if len(unknown) and view.alive[unknown[unknown < view.size]].any():
                raise Vanished
        return found

    def _extend(
        self, keys: set[KeyPath], view: View, connection: SqliteConnection, path: Path
    ) -> dict[KeyPath, KeyColumn]:
        with self._lock:
            found = {key: self._known.get(key) or KeyColumn() for key in keys}
            while (start := min(column.rows for column in found.values())) < view.size:
                # All that lack the same rows take them from one reading.
                some = {key: column for key, column in found.items() if column.rows == start}
                end = min([column.rows for column in found.values() if column.rows > start], default=view.size)
                _read_rows(some, start, min(end, view.size), view, connection, path)
            self._known.update(found)
            self._forget_oldest(keys)
        return found

    def _forget_oldest(self, keep: set[KeyPath]) -> None:
        left = self._budget - sum(self._known[key].size for key in keep)
        for key in sorted(self._known.keys() - keep, key=lambda key: self._known[key].used, reverse=True):
            left -= self._known[key].size
            if left < 0:
                del self._known[key]


def _list_paths(condition: Filter) -> Iterator[KeyPath]:
    match condition:
        case CompareKey(path, _, _):
            yield path
        case And(items) | Or(items):
            for item in items:
                yield from _list_paths(item)
        case Not(item):
            yield from _list_paths(item)


def _read_rows(
    columns: Mapping[KeyPath, KeyColumn], start: int, end: int, view: View, connection: SqliteConnection, path: Path
) -> None:
    """Extend columns from ``start`` rows to ``end`` rows."""
    for first in range(start, end, _CHUNK):
        last = min(first + _CHUNK, end)
        rids = view.rids[first:last].tolist()
        found = read_extras(connection, rids[0], rids[-1], path)
        if len(found) < last - first and any(
            is_alive and rid not in found for rid, is_alive in zip(rids, view.alive[first:last].tolist(), strict=True)
        ):
            raise Vanished
        unknown = [place for place, rid in enumerate(rids) if rid not in found] if len(found) < len(rids) else []
        extras = _parse([found.get(rid, _GONE) for rid in rids])
        for key, column in columns.items():
            column.extend(_pick(extras, key), unknown)


def _parse(texts: Sequence[bytes]) -> list[Any]:
    """Return the values of JSON texts; one call of the parser for all is twice as fast."""
    if all(text == _EMPTY for text in texts):
        return [None] * len(texts)
    parsed: list[Any] = json.loads(b"[" + b",".join(texts) + b"]")
    return parsed


def _pick(extras: Sequence[Any], path: KeyPath) -> list[Any]:
    if len(path) == 1:
        key = path[0]
        return [None if extra is None else extra.get(key) for extra in extras]
    return [None if extra is None else read_path(extra, path) for extra in extras]
