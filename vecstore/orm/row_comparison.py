"""Whether a store is what its table says: rows and records are compared both ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ..fenced import find_newest_tombstone, scan_versions
from ..groups import make_member
from ..records import Record
from ..store import VectorStore
from .captures import make_captures
from .keys import Key
from .outbox import Outbox
from .searched_models import SearchedModel
from .sinks import ColumnSink
from .triggers import find_missing_triggers, install_triggers

PAGE = 1_000
EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class SyncCheck:
    """What `VectorORM.verify` found about one declaration.

    Attributes
    ----------
    label : str
        ``Class.attribute``.
    rows : int
        Rows that were compared.
    differences : int
        Records that are missing, differ from their row or have none, and that no outbox row accounts for.
    examples : tuple of str
        The ids of the first ten of these.
    strangers : tuple of str
        The first ten ids that are no key of the table; somebody else wrote them.
    missing_triggers : tuple of str
    fence_behind : bool
        The store has newer versions than the sequence, so that it would refuse what a worker writes.
    fixed : bool
        All of it, strangers apart, was mended or noted for a worker.
    """

    label: str
    rows: int
    differences: int
    examples: tuple[str, ...]
    strangers: tuple[str, ...]
    missing_triggers: tuple[str, ...]
    fence_behind: bool
    fixed: bool

    @property
    def ok(self) -> bool:
        """Whether the store is what the table says, but for what waits in the outbox."""
        return not (self.differences or self.strangers or self.missing_triggers or self.fence_behind)


class RowComparison:
    """Compares one table with its store.

    Parameters
    ----------
    engine : Engine
    outbox : Outbox
    model : SearchedModel
    store : VectorStore or ColumnSink
        Where the vectors are.
    """

    def __init__(self, engine: Engine, outbox: Outbox, model: SearchedModel, store: VectorStore | ColumnSink) -> None:
        self._engine = engine
        self._outbox = outbox
        self._model = model
        self._store = store
        self._rows = 0
        self._strangers: list[str] = []

    def run(self, *, fix: bool) -> SyncCheck:
        """Compare; with ``fix`` mend what can be mended and note the rest for a worker."""
        model, outbox = self._model, self._outbox
        with self._engine.begin() as connection:
            if fix:
                outbox.begin_writing(connection)
            captures = make_captures(outbox, model)
            missing = [name for each in captures for name in find_missing_triggers(connection, each)]
            for each in captures if missing and fix else ():
                install_triggers(connection, each)
        # The fence comes first: what is noted below would else be written with one that the store refuses.
        newest = self._find_newest()
        is_behind = newest > 0 and outbox.draw_fence(self._engine) <= newest
        if is_behind and fix:
            outbox.lift_fence(self._engine, newest + 1)
        # From here on changes are noted; what was missed before is found now.
        different = dict.fromkeys(self._compare_rows(fix=fix))
        if isinstance(self._store, VectorStore):
            different |= dict.fromkeys(self._compare_records(self._store, fix=fix))
        return SyncCheck(
            model.label,
            self._rows,
            len(different),
            tuple(map(model.keys.format_id, list(different)[:EXAMPLES])),
            tuple(self._strangers),
            tuple(missing),
            is_behind,
            fix,
        )

    def _find_newest(self) -> int:
        """Return the newest version in the store, of a record or a tombstone."""
        if not isinstance(self._store, VectorStore):
            return 0
        versions = (version for page in scan_versions(self._store) for _, version in page)
        return max(max(versions, default=0), find_newest_tombstone(self._store))

    def _compare_rows(self, *, fix: bool) -> list[Key]:
        different: list[Key] = []
        with Session(self._engine) as session:
            for page in self._model.iterate_keys(session, PAGE):
                self._rows += len(page)
                different += self._confirm(self._find_differences(page, {}), fix=fix)
        return different

    def _compare_records(self, store: VectorStore, *, fix: bool) -> list[Key]:
        """Compare the records; those that a row with a text should have were compared already."""
        different: list[Key] = []
        for page in scan_versions(store):
            ids = self._parse_ids(id_ for id_, _ in page)
            with Session(self._engine) as session:
                known = self._model.read_records(session, ids)
            surplus: dict[Key, list[str]] = {}
            for key, found in ids.items():
                wanted = {part.id for part in self._model.make_parts(known.get(key))}
                surplus[key] = [id_ for id_ in found if id_ not in wanted]
            different += self._confirm([key for key, left in surplus.items() if left], fix=fix, surplus=surplus)
        return different

    def _parse_ids(self, ids: Iterable[str]) -> dict[Key, list[str]]:
        """Return the ids of records by the keys of their rows."""
        found: dict[Key, list[str]] = defaultdict(list)
        for id_ in ids:
            try:
                row = self._model.read_row_id(id_)
                key = self._model.keys.parse_id(row)
            except ValueError:
                row, key = "", None
            if key is not None and self._model.keys.format_id(key) == row:
                found[key].append(id_)
            elif len(self._strangers) < EXAMPLES:
                self._strangers.append(id_)
        return found

    def _find_differences(self, keys: Sequence[Key], surplus: Mapping[Key, Sequence[str]]) -> list[Key]:
        with Session(self._engine) as session:
            wanted = self._model.read_records(session, keys)
        if isinstance(self._store, ColumnSink):
            return [*self._store.find_stale(wanted), *self._store.find_unwanted(keys, wanted)]
        # For each row the records that it should have, and ids that it should not have.
        expected: dict[Key, dict[str, Record | None]] = {}
        for key in keys:
            parts = self._model.make_parts(wanted.get(key))
            beyond = [] if parts and self._model.declaration.chunk is None else [self._make_next(key, len(parts))]
            expected[key] = {part.id: part for part in parts} | dict.fromkeys([*beyond, *surplus.get(key, ())])
        ids = [id_ for each in expected.values() for id_ in each]
        stored = {
            found.id: found
            for start in range(0, len(ids), PAGE)
            for found in self._store.get(ids[start : start + PAGE])
            if found is not None
        }
        return [
            key
            for key, each in expected.items()
            if not all(_are_same(record, stored.get(id_)) for id_, record in each.items())
        ]

    def _make_next(self, key: Key, number: int) -> str:
        return make_member(self._model.make_head(key), number)

    def _confirm(
        self, keys: Sequence[Key], *, fix: bool, surplus: Mapping[Key, Sequence[str]] = MappingProxyType({})
    ) -> list[Key]:
        """Return those keys that still differ, and that the outbox does not have."""
        if not keys:
            return []
        model = self._model
        with self._engine.connect() as connection:
            pending = {model.keys.parse(key) for key in self._outbox.list_pending(connection, model.name)}
        left = [key for key in self._find_differences(keys, surplus) if key not in pending]
        if fix and left:
            with self._engine.begin() as connection:
                self._outbox.note(connection, model.name, [model.keys.format(key) for key in left])
        return left


def _are_same(record: Record | None, found: Record | None) -> bool:
    if record is None or found is None:
        return record is found
    return record.text == found.text and dict(record.metadata) == dict(found.metadata)
