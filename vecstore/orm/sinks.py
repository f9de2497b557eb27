"""Where the vectors of a declaration go: a store, or a column of the model's own table."""

# Longer than 300 lines because what a column needs to be written in step is one class.

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Select,
    Table,
    bindparam,
    delete,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from ..embedders.base import Embedder
from ..fenced import check_embedding, delete_fenced, replace_groups, tend_store, upsert_fenced
from ..metric import Metric
from ..records import Record
from ..rows.vectors import as_matrix
from ..schema import Schema
from ..store import VectorStore
from .busy_database import repeat
from .keys import Key
from .outbox import Outbox
from .row_generations import ACTIVE, RowGeneration, RowGenerations, name_digests, name_target
from .searched_models import SearchedModel
from .vector_columns import RowVector

_PART = 200
"""Rows in one transaction of an update: the application may wait for them."""


class Sink(ABC):
    """What a worker writes into."""

    @abstractmethod
    def delete(self, keys: Sequence[Key], fence: int) -> Collection[Key]:
        """Remove what there is of rows that are gone or have no text; return the keys that are done."""

    @abstractmethod
    def write(self, records: Mapping[Key, Record], fence: int) -> Collection[Key]:
        """Embed and write, all or nothing where the text of one cannot be embedded; return the keys that are done."""

    @abstractmethod
    def probe(self, text: str) -> None:
        """Embed a text and forget it."""

    def tend(self, changed: int) -> None:  # noqa: B027 - a table needs no upkeep of ours
        """Do the upkeep that is due after so many changes."""


class StoreSink(Sink):
    """A `VectorStore`, whose records have the fence as their version."""

    def __init__(self, model: SearchedModel, store: VectorStore) -> None:
        self._model = model
        self._store = store

    def delete(self, keys: Sequence[Key], fence: int) -> Collection[Key]:
        """Delete the records."""
        heads = [self._model.make_head(key) for key in keys]
        if self._model.declaration.chunk is None:
            delete_fenced(self._store, heads, fence)
        else:
            replace_groups(self._store, dict.fromkeys(heads, ()), fence)
        return keys

    def write(self, records: Mapping[Key, Record], fence: int) -> Collection[Key]:
        """Replace the records."""
        if self._model.declaration.chunk is None:
            upsert_fenced(self._store, list(records.values()), fence)
        else:
            parts = {self._model.make_head(key): self._model.make_parts(record) for key, record in records.items()}
            replace_groups(self._store, parts, fence)
        return list(records)

    def probe(self, text: str) -> None:
        """Embed a text with the store's embedder."""
        check_embedding(self._store, text)

    def tend(self, changed: int) -> None:
        """Build or extend the index."""
        tend_store(self._store, changed)


class ColumnSink(Sink):
    """A column of the model's table, with the digests of the texts whose vectors are in it.

    No fence is needed: a row is locked and read again before its vector is written, so that the vector in a row is
    always that of a text which the row had at that moment. If it changed since it was embedded, the outbox has a newer
    change of it. Whoever writes into the column that is searched notes the rows for the other column, if there is one.

    Parameters
    ----------
    model : SearchedModel
    engine : Engine
    outbox : Outbox
    generations : RowGenerations
    generation : RowGeneration or None
        The column that is written; None for one that is gone, whose changes are forgotten.
    embedder : Embedder
    metric : Metric
    """

    def __init__(
        self,
        model: SearchedModel,
        engine: Engine,
        outbox: Outbox,
        generations: RowGenerations,
        generation: RowGeneration | None,
        embedder: Embedder,
        metric: Metric,
    ) -> None:
        self._model = model
        self._engine = engine
        self._outbox = outbox
        self._digests = outbox.digests
        self._generations = generations
        self._generation = generation
        self._embedder = embedder
        self._schema = Schema(dim=embedder.dim, metric=metric)
        declared = model.get_vector_column().name
        column = declared if generation is None else generation.column
        self._digested = name_digests(model.declared_name, column, declared)
        # The keys and the vectors alone: what the application sets when it changes a row stays as it is.
        self._table = Table(
            model.table.name,
            MetaData(),
            *(Column(each.name, each.type, primary_key=True) for each in model.keys.columns),
            Column(column, RowVector(embedder.dim, metric)),
            schema=model.table.schema,
        )
        self._column = self._table.c[column]

    def delete(self, keys: Sequence[Key], fence: int) -> Collection[Key]:
        """Remove the vectors of rows without a text, and the digests."""
        return self._apply(dict.fromkeys(keys), {})

    def write(self, records: Mapping[Key, Record], fence: int) -> Collection[Key]:
        """Embed what has no vector of its text yet."""
        if self._generation is None:
            return list(records)
        stale = self.find_stale(records)
        names = [f"Row {records[key].id!a}" for key in stale]
        made = self.embed([records[key].text or "" for key in stale], names)
        # Those that have their vector already are only noted for the other column.
        return self._apply(records, dict(zip(stale, made, strict=True)))

    def embed(self, texts: Sequence[str], names: Sequence[str] | None = None) -> Sequence[object]:
        """Return the vectors of texts, as the column takes them."""
        if not texts:
            return []
        owners = [f"Row {place}" for place in range(len(texts))] if names is None else names
        made = self._embedder.embed_documents(list(texts), label=lambda place: owners[place])
        return list(as_matrix(list(made), self._schema, owners))

    def is_current(self, connection: Connection) -> bool:
        """Say whether the column still has the vectors of this object's embedder, or was never claimed."""
        live = self._generations.read(connection, self._model.declared_name)
        return not live or self._is_among(live)

    def note(self, connection: Connection, texts: Mapping[Key, str]) -> None:
        """Say, in the transaction of a session, that rows have the vectors of these texts.

        Of a column that is not that of the embedder any more nothing is said, so that a worker embeds the rows again.
        """
        if self._generation is None:
            return
        live = self._generations.hold(connection, self._model.declared_name)
        if not live:
            self._generations.add(connection, self._model.declared_name, self._generation)
            live = self._generations.hold(connection, self._model.declared_name)
        for part in _cut(sorted(texts)):
            self._forget_digests(connection, part)
            if self._is_among(live):
                self._note_digests(connection, [(key, Record("", text=texts[key])) for key in part])

    def _is_among(self, live: Mapping[str, RowGeneration]) -> bool:
        own = self._generation
        return own is not None and any(each.mark == own.mark for each in live.values())

    def probe(self, text: str) -> None:
        """Embed a text."""
        self._embedder.embed_documents([text])

    def find_stale(self, records: Mapping[Key, Record]) -> list[Key]:
        """Return those rows that have no vector, or that of another text or embedder."""
        known = self._read_digests(records)
        filled = self._list_filled(records)
        return sorted(key for key in records if key not in filled or known.get(key) != self._digest(records[key]))

    def find_unwanted(self, keys: Iterable[Key], records: Mapping[Key, Record]) -> list[Key]:
        """Return those rows that have a vector although they have no text or are left out."""
        return sorted(self._list_filled(set(keys) - set(records)))

    def _list_filled(self, keys: Iterable[Key]) -> set[Key]:
        """Return those rows that have a vector."""
        with Session(self._engine) as session:
            return {
                key for part in _cut(sorted(keys)) for key in self._list_rows(session, part, self._column.is_not(None))
            }

    def _list_rows(self, session: Session, keys: Sequence[Key], *conditions: ColumnElement[bool]) -> set[Key]:
        """Return those rows that exist and meet the conditions."""
        return {tuple(row) for row in session.execute(self._select_keys(keys).where(*conditions))}

    def _select_keys(self, keys: Sequence[Key]) -> Select[Any]:
        columns = list(self._table.primary_key.columns)
        if len(columns) == 1:
            return select(columns[0]).where(columns[0].in_([key[0] for key in keys]))
        return select(*columns).where(tuple_(*columns).in_(keys))

    def _digest(self, record: Record) -> str:
        parts = f"{self._embedder.name}\0{record.text}"
        return hashlib.blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def _read_digests(self, keys: Iterable[Key]) -> dict[Key, str]:
        columns, found = self._digests.c, dict[Key, str]()
        with self._engine.connect() as connection:
            for part in _cut(sorted(keys)):
                names = {self._model.keys.format(key): key for key in part}
                wanted = select(columns.key, columns.digest).where(
                    columns.target == self._digested, columns.key.in_(list(names))
                )
                found.update((names[name], digest) for name, digest in connection.execute(wanted))
        return found

    def _apply(self, planned: Mapping[Key, Record | None], vectors: Mapping[Key, object]) -> list[Key]:
        """Write the vectors of those rows whose text is still the planned one; return the keys that are done.

        Those of ``planned`` that have a record and no vector here have it in their row.
        """
        done: list[Key] = []
        for part in _cut(sorted(planned)):
            # A vector that was made is not to be made again because somebody else had the lock for a while.
            done += repeat(partial(self._apply_part, part, planned, vectors))
        return done

    def _apply_part(
        self, part: Sequence[Key], planned: Mapping[Key, Record | None], vectors: Mapping[Key, object]
    ) -> Sequence[Key]:
        changed = [key for key in part if key in vectors or planned[key] is None]
        if not changed and not self._has_others():
            return part
        with Session(self._engine) as session:
            self._outbox.begin_writing(session.connection())
            return self._apply_in(session, part, changed, planned, vectors)

    def _apply_in(
        self,
        session: Session,
        part: Sequence[Key],
        changed: Sequence[Key],
        planned: Mapping[Key, Record | None],
        vectors: Mapping[Key, object],
    ) -> Sequence[Key]:
        connection = session.connection()
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            self._forget_digests(connection, changed)
        live = self._generations.read(connection, self._model.declared_name, lock=True)
        generation = self._find_own(session, live)
        if generation is None:
            session.rollback()
            # A column that is gone has no changes; one that is searched no more leaves them to the one that is.
            return part if self._model.name != self._model.declared_name else ()
        locked = self._lock(session, changed)
        present = self._model.read_records(session, changed)
        same = [key for key in changed if _read_text(present.get(key)) == _read_text(planned[key])]
        written = [key for key in same if key in locked]
        existing = self._list_rows(session, changed)
        if not is_sqlite:
            # Whoever holds a row may have its digest too: those are not touched, so that nobody waits for a worker
            # that waits.
            self._forget_digests(connection, sorted(locked))
            self._forget_digests(connection, self._pick_digests(connection, set(changed) - locked - existing))
        self._update(session, [(key, vectors.get(key)) for key in written])
        self._note_digests(connection, [(key, record) for key in written if (record := planned[key]) is not None])
        # A row that somebody else holds is tried again; one that is gone, or has another text, has a newer change.
        done = [key for key in part if key not in set(changed) or key in locked or key not in existing]
        if generation.state == ACTIVE:
            self._note_for_others(session, live, done)
        session.commit()
        return done

    def _has_others(self) -> bool:
        with self._engine.connect() as connection:
            return len(self._generations.read(connection, self._model.declared_name)) > 1

    def _find_own(self, session: Session, live: dict[str, RowGeneration]) -> RowGeneration | None:
        """Return the generation that this object writes, as it is now; None if it must not be written any more."""
        own = self._generation
        if own is None:
            return None
        if not live:
            # From now on a process with another embedder is refused, and does not mix its vectors with these.
            self._generations.add(session.connection(), self._model.declared_name, own)
            live = self._generations.read(session.connection(), self._model.declared_name)
        found = next((each for each in live.values() if each.mark == own.mark), None)
        is_main = self._model.name == self._model.declared_name
        return None if found is None or (is_main and found.state != ACTIVE) else found

    def _note_for_others(self, session: Session, live: dict[str, RowGeneration], keys: Sequence[Key]) -> None:
        for each in live.values():
            if each.state != ACTIVE:
                target = name_target(self._model.declared_name, each.embedder)
                self._outbox.note(session.connection(), target, [self._model.keys.format(key) for key in keys])

    def _lock(self, session: Session, keys: Sequence[Key]) -> set[Key]:
        """Lock the rows that nobody else holds, so that no application waits for a worker that waits for it."""
        wanted = self._select_keys(keys)
        return {tuple(row) for row in session.execute(wanted.with_for_update(skip_locked=True, key_share=True))}

    def _update(self, session: Session, rows: Sequence[tuple[Key, object]]) -> None:
        if not rows:
            return
        keys = list(self._table.primary_key.columns)
        changed = update(self._table).where(*(each == bindparam(f"key_{place}") for place, each in enumerate(keys)))
        values = [
            {f"key_{place}": value for place, value in enumerate(key)} | {"new_vector": vector} for key, vector in rows
        ]
        new = {self._column.key: bindparam("new_vector", type_=self._column.type)}
        session.connection().execute(changed.values(new), values)

    def _pick_digests(self, connection: Connection, keys: Iterable[Key]) -> list[Key]:
        """Lock the digests of rows that are gone, and return the keys of those that nobody else holds."""
        columns, names = self._digests.c, {self._model.keys.format(key): key for key in keys}
        if not names:
            return []
        named = select(columns.key).where(columns.target == self._digested, columns.key.in_(list(names)))
        return [names[name] for name in connection.execute(named.with_for_update(skip_locked=True)).scalars()]

    def _forget_digests(self, connection: Connection, keys: Sequence[Key]) -> None:
        if not keys:
            return
        columns, names = self._digests.c, [self._model.keys.format(key) for key in keys]
        connection.execute(delete(self._digests).where(columns.target == self._digested, columns.key.in_(names)))

    def _note_digests(self, connection: Connection, rows: Sequence[tuple[Key, Record]]) -> None:
        if rows:
            values = [
                {"target": self._digested, "key": self._model.keys.format(key), "digest": self._digest(record)}
                for key, record in rows
            ]
            connection.execute(insert(self._digests), values)


def _read_text(record: Record | None) -> str | None:
    return None if record is None else record.text


def _cut(keys: Sequence[Key]) -> Iterable[Sequence[Key]]:
    return (keys[start : start + _PART] for start in range(0, len(keys), _PART))
