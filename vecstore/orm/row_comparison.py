"""Whether a store is what its table says: rows and records are compared both ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ..fenced import find_newest_tombstone, scan_versions
from ..store import VectorStore
from .captures import make_capture
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
            missing = find_missing_triggers(connection, make_capture(outbox, model))
            if missing and fix:
                install_triggers(connection, make_capture(outbox, model))
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
                different += self._confirm(self._find_differences(page), fix=fix)
        return different

    def _compare_records(self, store: VectorStore, *, fix: bool) -> list[Key]:
        """Compare the records; those that have a row with a text were compared already."""
        different: list[Key] = []
        for page in scan_versions(store):
            keys = self._parse_ids(id_ for id_, _ in page)
            with Session(self._engine) as session:
                known = self._model.read_records(session, keys)
            different += self._confirm([key for key in keys if key not in known], fix=fix)
        return different

    def _parse_ids(self, ids: Iterable[str]) -> list[Key]:
        keys: list[Key] = []
        for id_ in ids:
            try:
                key = self._model.keys.parse_id(id_)
            except ValueError:
                key = None
            if key is not None and self._model.keys.format_id(key) == id_:
                keys.append(key)
            elif len(self._strangers) < EXAMPLES:
                self._strangers.append(id_)
        return keys

    def _find_differences(self, keys: Sequence[Key]) -> list[Key]:
        with Session(self._engine) as session:
            wanted = self._model.read_records(session, keys)
        if isinstance(self._store, ColumnSink):
            return [*self._store.find_stale(wanted), *self._store.find_unwanted(keys, wanted)]
        stored = self._store.get([self._model.keys.format_id(key) for key in keys])
        different: list[Key] = []
        for key, found in zip(keys, stored, strict=True):
            record = wanted.get(key)
            if record is None or found is None:
                is_same = record is None and found is None
            else:
                is_same = record.text == found.text and dict(record.metadata) == dict(found.metadata)
            if not is_same:
                different.append(key)
        return different

    def _confirm(self, keys: Sequence[Key], *, fix: bool) -> list[Key]:
        """Return those keys that still differ, and that the outbox does not have."""
        if not keys:
            return []
        model = self._model
        with self._engine.connect() as connection:
            pending = {model.keys.parse(key) for key in self._outbox.list_pending(connection, model.name)}
        left = [key for key in self._find_differences(keys) if key not in pending]
        if fix and left:
            with self._engine.begin() as connection:
                self._outbox.note(connection, model.name, [model.keys.format(key) for key in left])
        return left
