"""Ids, versions and declared fields of every record, in memory, checked against the ledger.

One scan loads them; after that they follow the commits: new rows are appended, removed ones are marked. A reader
holds a `View`, one state that later commits do not change. An id that is not here is not stored. SQLite's indexes
are not used, because damage could hide a row in them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt
from vecstore.filters.nodes import Filter
from vecstore.groups import find_bounds, read_member
from vecstore.schema import Schema

from ..search.filter_cache import FilterCache
from ..storage.checksums import checksum_row
from ..vectors.append_array import AppendArray
from ..vectors.segment import find_places
from .fields import FIELDS, Column, Mask
from .key_column import KeyColumn
from .key_columns import NO_KEYS, KeyColumns, KeyPath
from .ledger import Total
from .rows import RowFormat

if TYPE_CHECKING:
    from ..storage.connections import SqliteConnection

CHUNK = 4_096
_MOST_UNORDERED = 8_192
"""Rows that were added since the ids were last put in order."""
Heads = Sequence[Sequence[Any]]
"""The heads of consecutive rows by column, in the order of `RowFormat.select_heads`."""
TWICE = "{}: one id is in two rows. Restore the directory from a backup."


class RowColumns:
    """The arrays that all `View` objects share; one thread at a time advances them."""

    def __init__(self, schema: Schema) -> None:
        self.ids: list[str] = []
        self.rids = AppendArray(np.int64)
        self.versions = AppendArray(np.int64)
        self.heads = AppendArray(np.int64)
        self.present = AppendArray(np.bool_)
        self.has_optional_vectors = schema.has_optional_vectors
        self.fields: dict[str, Column] = {
            name: FIELDS[field.kind].make_column() for name, field in sorted(schema.fields.items())
        }
        self.keys = KeyColumns() if schema.dynamic else None
        # The newest row of each id, and for each row the previous one of its id; a view picks the row that it has.
        self._latest: dict[str, int] = {}
        self._before = AppendArray(np.int64)
        self._order: NDArray[np.int64] = np.empty(0, np.int64)

    def find_position(self, id_: str, alive: Mask) -> int:
        """Return the place of an id's row, -1 if the view has none."""
        place = self._latest.get(id_, -1)
        while place >= 0 and (place >= len(alive) or not alive[place]):
            place = int(self._before.view(place + 1)[place])
        return place

    def find_latest(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the place of the newest row of each id, which a view need not have; -1 for an unknown id."""
        return np.fromiter(map(self._latest.get, ids, repeat(-1)), np.int64, len(ids))

    def order_by_id(self, size: int) -> NDArray[np.int64]:
        """Return the places of at least the first ``size`` rows in the order of their ids."""
        order = self._order
        if len(order) < size:
            ids = self.ids
            known = [*order.tolist(), *range(len(order), size)]
            # The front is already sorted, so this is a single merge.
            order = np.array(sorted(known, key=ids.__getitem__), np.int64)
            if len(order) > len(self._order):  # a reader of a newer view may have been faster
                self._order = order
        return order

    def find_members(self, heads: Mapping[str, object], size: int) -> list[int]:
        """Return the places, among the first ``size``, of all rows that are members of some groups but not their heads.

        Rows that no view has any more are among them.
        """
        # A merge for each write would cost more than looking at the newest ids one by one.
        order, ids = self._order, self.ids  # one order for the whole call: other readers replace it
        if size - len(order) > max(_MOST_UNORDERED, size // 16):
            order = self.order_by_id(size)
        ordered = len(order)
        found = [place for place in range(ordered, size) if "#" in ids[place] and read_member(ids[place])[0] in heads]
        for head in heads:
            low, high = find_bounds(head)
            first = bisect_left(order, low, key=ids.__getitem__)
            last = bisect_left(order, high, first, key=ids.__getitem__)
            found += order[first:last].tolist()
        return [place for place in found if place < size and read_member(ids[place])[1]]

    def append(self, start: int, columns: Heads, path: Path) -> None:
        """Write the heads of consecutive rows, the first at ``start``.

        Raises
        ------
        StoreCorrupt
        """
        rids, ids, versions, _, vectors, *fields, heads = columns
        if len(set(ids)) < len(ids):
            raise StoreCorrupt(TWICE.format(path))
        del self.ids[start:]
        self.ids.extend(ids)
        self.rids.write(start, rids)
        self.versions.write(start, versions)
        self.heads.write(start, heads)
        if self.has_optional_vectors:
            self.present.write(start, [crc is not None for crc in vectors])
        for column, values in zip(self.fields.values(), fields, strict=True):
            column.write(start, values)
        self._before.write(start, self.find_latest(ids))
        self._latest.update(zip(ids, range(start, start + len(ids)), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The rows of one commit.

    Attributes
    ----------
    columns : RowColumns
    alive : ndarray of bool
        Which of the first rows are stored; its length says how many rows the view knows.
    total : Total
    filter_cache : FilterCache
    """

    columns: RowColumns
    alive: Mask
    total: Total
    filter_cache: FilterCache = field(default_factory=FilterCache)

    @classmethod
    def make_empty(cls, schema: Schema) -> View:
        """Return a view without rows."""
        return cls(RowColumns(schema), np.zeros(0, np.bool_), Total())

    @property
    def size(self) -> int:
        """How many rows there are, including removed ones."""
        return len(self.alive)

    @property
    def rids(self) -> NDArray[np.int64]:
        """The rids of all rows, rising."""
        return self.columns.rids.view(self.size)

    @property
    def versions(self) -> NDArray[np.int64]:
        """The versions of all rows."""
        return self.columns.versions.view(self.size)

    @property
    def present(self) -> Mask | None:
        """Which rows have a vector; None where the schema requires one."""
        return self.columns.present.view(self.size) if self.columns.has_optional_vectors else None

    def count_bare(self) -> int:
        """Return how many stored rows have no vector."""
        present = self.present
        return 0 if present is None else int(np.count_nonzero(self.alive & ~present))

    def keep_searchable(self, keep: Mask) -> Mask:
        """Return which of some rows have a vector."""
        present = self.present
        return keep if present is None else keep & present

    @property
    def last_rid(self) -> int:
        """The highest rid known."""
        return int(self.rids[-1]) if self.size else 0

    @property
    def is_wasteful(self) -> bool:
        """Whether most rows in memory were removed, so reloading is cheaper."""
        return self.size > 65_536 + 2 * self.total.count

    def load_keys(
        self, condition: Filter | None, connection: SqliteConnection, path: Path
    ) -> Mapping[KeyPath, KeyColumn]:
        """Return the columns of the undeclared keys in a bound filter; see `KeyColumns.load`."""
        keys = self.columns.keys
        return NO_KEYS if keys is None or condition is None else keys.load(condition, self, connection, path)

    def find_positions(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the positions of the rows of ids, -1 for ids that are not stored."""
        listed = list(ids)
        places = self.columns.find_latest(listed)
        known = np.flatnonzero(places >= 0)
        if len(known):
            beyond = places[known] >= self.size
            dead = known[beyond | ~self.alive[np.where(beyond, 0, places[known])]] if self.size else known
            for number in dead.tolist():
                places[number] = self.columns.find_position(listed[number], self.alive)
        return places

    def find_members(self, heads: Mapping[str, object]) -> NDArray[np.int64]:
        """Return the positions of the rows of groups, the heads apart."""
        places = np.array(self.columns.find_members(heads, self.size), np.int64)
        return places[self.alive[places]]

    def get_ids(self, positions: NDArray[np.int64]) -> list[str]:
        """Return the ids of some rows."""
        ids = self.columns.ids
        return [ids[place] for place in positions.tolist()]

    def advance(self, removed: NDArray[np.int64], added: Iterable[Heads], path: Path) -> View:
        """Return the view after further commits; this one does not change.

        Raises
        ------
        StoreCorrupt
        """
        total = self.total.copy()
        alive = self.alive.copy()
        removed_places = self._find_places(removed)
        total.remove(self.columns.heads.view(self.size)[removed_places].tolist())
        alive[removed_places] = False
        start = self.size
        for heads in added:
            self.columns.append(start, heads, path)
            start += len(heads[-1])
            total.add(heads[-1])
        alive = np.concatenate((alive, np.ones(start - self.size, np.bool_)))
        view = View(self.columns, alive, total)
        view.check_unique(self.size, path)
        return view

    def check_unique(self, start: int, path: Path) -> None:
        """Refuse an id that has two rows, at least one of them at ``start`` or later.

        Raises
        ------
        StoreCorrupt
        """
        before = self.columns._before.view(self.size)[start:]
        earlier = before[before >= 0]
        if self.alive[earlier].any():
            raise StoreCorrupt(TWICE.format(path))

    def _find_places(self, rids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions of rids, without those that the view does not have."""
        places, inside = find_places(self.rids, self.size, rids)
        found: NDArray[np.int64] = places[inside]
        return found[self.alive[found]]


def read_heads(connection: Any, row_format: RowFormat, after: int, most: int, path: Path) -> Iterator[Heads]:
    """Yield the heads of rows beyond a rid in chunks, checked.

    Raises
    ------
    StoreCorrupt
        A row is damaged, or there are more than ``most``.
    """
    cursor = connection.execute(row_format.select_heads, (after,))
    while rows := cursor.fetchmany(CHUNK):
        for row in rows:
            if checksum_row(row[:-1]) != row[-1]:
                raise StoreCorrupt(f"{path}: row {row[0]!a:.40} is damaged. Restore the directory from a backup.")
        most -= len(rows)
        if most < 0:
            raise StoreCorrupt(f"{path} holds more rows than were written. Restore the directory from a backup.")
        yield tuple(zip(*rows, strict=True))
