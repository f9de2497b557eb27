"""The calls that a writer makes: what each does to a database, and what it must do to the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vecstore import Database, F, RecordExists

from .contents import SCHEMAS, Contents, State, Stored, as_records, vector_of

REFUSED = -1
"""The result of an insert of an id that is stored."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call must do.

    Attributes
    ----------
    states : sequence of State
        After each of its commits; whoever is cut off inside leaves one of them, or none of it.
    result : int
        What the call returns.
    """

    states: Sequence[State]
    result: int = 0


class Call(ABC):
    """One call of the public interface."""

    @property
    def kind(self) -> str:
        """What the statistics call it."""
        return type(self).__name__.lower()

    @abstractmethod
    def effect(self, state: State) -> Effect:
        """Say what the call must do."""

    @abstractmethod
    def perform(self, db: Database) -> int:
        """Do it."""


@dataclass(frozen=True)
class Selection:
    """Records by id, or by group."""

    ids: tuple[str, ...] | None = None
    group: int | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        return {"where": F.group == self.group} if self.ids is None else {"ids": self.ids}

    def of(self, contents: Contents) -> list[str]:
        if self.ids is None:
            return [id_ for id_, each in contents.records.items() if each.metadata.get("group") == self.group]
        return [id_ for id_ in self.ids if id_ in contents.records]


@dataclass(frozen=True)
class Upsert(Call):
    store: str
    records: Mapping[str, Stored]
    batch_size: int = 5_000

    @property
    def kind(self) -> str:
        if len(self.records) > self.batch_size:
            return "upsert of several batches"
        return "upsert bulk" if len(self.records) > 50 else "upsert"

    def effect(self, state: State) -> Effect:
        contents, ids, states = state[self.store], list(self.records), []
        for end in range(self.batch_size, len(ids) + self.batch_size, self.batch_size):
            written = {id_: self.records[id_] for id_ in ids[:end]}
            states.append(_with(state, self.store, records={**contents.records, **written}))
        return Effect(states, len(ids))

    def perform(self, db: Database) -> int:
        return db.open(self.store).upsert(as_records(self.records), batch_size=self.batch_size)


@dataclass(frozen=True)
class Insert(Call):
    store: str
    records: Mapping[str, Stored]

    def effect(self, state: State) -> Effect:
        stored = state[self.store].records
        if stored.keys() & self.records.keys():
            return Effect([state], REFUSED)
        return Effect([_with(state, self.store, records={**stored, **self.records})], len(self.records))

    def perform(self, db: Database) -> int:
        try:
            return db.open(self.store).insert(as_records(self.records))
        except RecordExists:
            return REFUSED


@dataclass(frozen=True)
class Update(Call):
    store: str
    selection: Selection
    metadata: Mapping[str, Any]
    vector: Stored | None = None

    @property
    def kind(self) -> str:
        return "update" if self.selection.ids is not None else "update where"

    def effect(self, state: State) -> Effect:
        contents = state[self.store]
        chosen = self.selection.of(contents)
        changed = {id_: self._changed(contents.records[id_]) for id_ in chosen}
        return Effect([_with(state, self.store, records={**contents.records, **changed})], len(chosen))

    def perform(self, db: Database) -> int:
        vector = {} if self.vector is None else {"vector": vector_of(self.vector)}
        return db.open(self.store).update(**self.selection.arguments, set={**self.metadata, **vector})

    def _changed(self, old: Stored) -> Stored:
        metadata = {**old.metadata, **self.metadata}
        text = metadata.pop("text", old.text)
        return Stored(old.vector if self.vector is None else self.vector.vector, text, metadata)


@dataclass(frozen=True)
class Delete(Call):
    store: str
    selection: Selection

    @property
    def kind(self) -> str:
        return "delete" if self.selection.ids is not None else "delete where"

    def effect(self, state: State) -> Effect:
        contents = state[self.store]
        doomed = frozenset(self.selection.of(contents))
        left = {id_: each for id_, each in contents.records.items() if id_ not in doomed}
        return Effect([_with(state, self.store, records=left)], len(doomed))

    def perform(self, db: Database) -> int:
        return db.open(self.store).delete(**self.selection.arguments)


@dataclass(frozen=True)
class Create(Call):
    store: str
    schema: str

    def effect(self, state: State) -> Effect:
        return Effect([{**state, self.store: Contents(self.schema)}])

    def perform(self, db: Database) -> int:
        return db.create(self.store, SCHEMAS[self.schema]).count()


@dataclass(frozen=True)
class Drop(Call):
    store: str

    def effect(self, state: State) -> Effect:
        return Effect([{name: each for name, each in state.items() if name != self.store}])

    def perform(self, db: Database) -> int:
        db.drop(self.store)
        return 0


@dataclass(frozen=True)
class Rename(Call):
    store: str
    new: str

    def effect(self, state: State) -> Effect:
        return Effect([{self.new if name == self.store else name: each for name, each in state.items()}])

    def perform(self, db: Database) -> int:
        store = db.open(self.store)
        db.rename(self.store, self.new)
        return store.count() - db.open(self.new).count()


@dataclass(frozen=True)
class Rebuild(Call):
    store: str
    schema: str
    keep_previous: bool = True

    def effect(self, state: State) -> Effect:
        old = state[self.store]
        cleared = _with(state, self.store, previous=None)
        switched = _with(state, self.store, schema=self.schema, previous=old.schema)
        states = [cleared, switched]
        if not self.keep_previous:
            states.append(_with(switched, self.store, previous=None))
        return Effect(states, len(old.records))

    def perform(self, db: Database) -> int:
        return db.rebuild(self.store, schema=SCHEMAS[self.schema], keep_previous=self.keep_previous).records


@dataclass(frozen=True)
class Rollback(Call):
    store: str

    def effect(self, state: State) -> Effect:
        old = state[self.store]
        return Effect([_with(state, self.store, schema=old.previous, previous=old.schema)], len(old.records))

    def perform(self, db: Database) -> int:
        return db.rollback(self.store).records


@dataclass(frozen=True)
class Compact(Call):
    store: str

    def effect(self, state: State) -> Effect:
        return Effect([state])

    def perform(self, db: Database) -> int:
        db.open(self.store).compact()
        return 0


@dataclass(frozen=True)
class Reindex(Call):
    store: str
    schema: str

    def effect(self, state: State) -> Effect:
        return Effect([_with(state, self.store, schema=self.schema)])

    def perform(self, db: Database) -> int:
        db.open(self.store).reindex(SCHEMAS[self.schema].index)
        return 0


@dataclass(frozen=True)
class Read(Call):
    """A reader's caches stand beside the writer's, and must follow it."""

    store: str
    group: int

    def effect(self, state: State) -> Effect:
        return Effect([state], len(Selection(group=self.group).of(state[self.store])))

    def perform(self, db: Database) -> int:
        store, where = db.open(self.store), F.group == self.group
        found = len(store.search([1.0] * store.schema.width, k=10_000, where=where, exact=True, include=()))
        return found if found == store.count(where) else REFUSED


def _with(state: State, store: str, **changes: Any) -> State:
    return {**state, store: replace(state[store], **changes)}
