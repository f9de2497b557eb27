"""The calls that a writer makes: what each does to a database, and what it must do to the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vecstore import Database, F, RecordExists
from vecstore.updates import KEEP, Keep

from .contents import SCHEMAS, Contents, State, Stored, as_records, decode_vector

REFUSED = -1
"""The result of an insert of an id that is stored."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call must do.

    Attributes
    ----------
    states : sequence of State
        The states after each of its commits; an interrupted call leaves one of them or the state before.
    result : int
        What the call returns.
    """

    states: Sequence[State]
    result: int = 0


class Call(ABC):
    """One call of the public interface."""

    @property
    def kind(self) -> str:
        """The name of this kind of call in the statistics."""
        return type(self).__name__.lower()

    @abstractmethod
    def effect(self, state: State) -> Effect:
        """Return what the call must do."""

    @abstractmethod
    def perform(self, db: Database) -> int:
        """Make the call."""


@dataclass(frozen=True)
class Selection:
    """Records by id, or by group."""

    ids: tuple[str, ...] | None = None
    group: int | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        return {"where": F.group == self.group} if self.ids is None else {"ids": self.ids}

    def select(self, contents: Contents) -> list[str]:
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
            states.append(_replace_contents(state, self.store, records={**contents.records, **written}))
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
        return Effect([_replace_contents(state, self.store, records={**stored, **self.records})], len(self.records))

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
    text: str | Keep | None = KEEP

    @property
    def kind(self) -> str:
        return "update" if self.selection.ids is not None else "update where"

    def effect(self, state: State) -> Effect:
        contents = state[self.store]
        chosen = self.selection.select(contents)
        changed = {id_: self._change(contents.records[id_]) for id_ in chosen}
        return Effect([_replace_contents(state, self.store, records={**contents.records, **changed})], len(chosen))

    def perform(self, db: Database) -> int:
        vector = KEEP if self.vector is None else decode_vector(self.vector)
        return db.open(self.store).update(
            **self.selection.arguments, metadata=self.metadata, text=self.text, vector=vector
        )

    def _change(self, old: Stored) -> Stored:
        metadata = {**old.metadata, **self.metadata}
        text = old.text if self.text is KEEP else self.text
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
        removed = frozenset(self.selection.select(contents))
        left = {id_: each for id_, each in contents.records.items() if id_ not in removed}
        return Effect([_replace_contents(state, self.store, records=left)], len(removed))

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
        if self.schema == old.schema:  # nothing changes, and the way back stays
            return Effect([state], len(old.records))
        switched = _replace_contents(state, self.store, schema=self.schema, previous=old.schema)
        states = [switched]
        if not self.keep_previous:
            states.append(_replace_contents(switched, self.store, previous=None))
        return Effect(states, len(old.records))

    def perform(self, db: Database) -> int:
        return db.rebuild(self.store, schema=SCHEMAS[self.schema], keep_previous=self.keep_previous).records


@dataclass(frozen=True)
class Rollback(Call):
    store: str

    def effect(self, state: State) -> Effect:
        old = state[self.store]
        return Effect(
            [_replace_contents(state, self.store, schema=old.previous, previous=old.schema)], len(old.records)
        )

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
        return Effect([_replace_contents(state, self.store, schema=self.schema)])

    def perform(self, db: Database) -> int:
        db.open(self.store).reindex(SCHEMAS[self.schema].index)
        return 0


@dataclass(frozen=True)
class Read(Call):
    """A read whose caches must follow the writes of the same process."""

    store: str
    group: int

    def effect(self, state: State) -> Effect:
        return Effect([state], len(Selection(group=self.group).select(state[self.store])))

    def perform(self, db: Database) -> int:
        store, where = db.open(self.store), F.group == self.group
        found = len(store.search([1.0] * store.schema.width, k=10_000, where=where, exact=True, include=()))
        return found if found == store.count(where) else REFUSED


def _replace_contents(state: State, store: str, **changes: Any) -> State:
    return {**state, store: replace(state[store], **changes)}
