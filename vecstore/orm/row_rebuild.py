"""Rebuilds of vectors in rows: a second column is filled by another embedder beside the application, then searched."""

# Longer than 300 lines because each step, its repetition and the way back are to be read together.

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import DDL, Connection, Engine, Table, delete, func, select, text, update
from sqlalchemy.orm import Session

from ..errors import DeadLetters, InvalidArgument, StoreLocked
from ..index_options import HNSW
from ..progress import Progress
from .busy_database import repeat
from .outbox import Outbox
from .row_generations import (
    ACTIVE,
    PREVIOUS,
    STANDBY,
    RowGeneration,
    RowGenerations,
    check_claim,
    name_digests,
    name_standby,
    name_target,
    plan_column,
    plan_drop,
    plan_renaming,
)
from .searched_models import SearchedModel
from .sinks import ColumnSink
from .vector_columns import INDEX, RowVector
from .vector_indexes import VectorIndex, declare_index, name_index, qualify, read_indexes
from .worker import SyncWorker

_PAGE = 2_000
FEW_LEFT = 1_000
"""Changes of the new column that a switch leaves to the workers: what the old one has to catch up with too."""
_REST = 0.05
_ATTEMPTS = 20
_LOCK_TIMEOUT = "2s"
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class RowsRebuilt:
    """What a rebuild of vectors in rows did.

    Attributes
    ----------
    label : str
        ``Class.attribute``.
    embedder : str
        Whose vectors are searched now.
    rows : int
        Rows that were looked at; those that had a vector of the new embedder already were not embedded again.
    changed : bool
        False if the vectors were of that embedder already.
    """

    label: str
    embedder: str
    rows: int
    changed: bool


class RowRebuild:
    """The steps of a rebuild of one declaration, each of which can be repeated after an interruption.

    Parameters
    ----------
    engine : Engine
    outbox : Outbox
    generations : RowGenerations
    model : SearchedModel
    active : RowGeneration
        What is searched if nobody has claimed the declared column yet.
    make_worker : callable
        From the identity of an embedder to a worker that fills its column, and to its sink.
    """

    def __init__(
        self,
        engine: Engine,
        outbox: Outbox,
        generations: RowGenerations,
        model: SearchedModel,
        active: RowGeneration,
        make_worker: Callable[[str], tuple[SyncWorker, Callable[[], ColumnSink]]],
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._generations = generations
        self._model = model
        self._active = active
        self._make_worker = make_worker
        self._target = model.declared_name
        self._declared = model.get_vector_column().name

    def run(self, embedder: str, dim: int, report: Progress | None) -> RowsRebuilt:
        """Fill a column with vectors of an embedder, and let it be searched."""
        if not self.create(embedder, dim):
            return RowsRebuilt(self._model.label, embedder, 0, changed=False)
        worker, open_sink = self._make_worker(embedder)
        rows = self._note_all(embedder)
        self._drain(worker, embedder, report)
        self.build_index()
        while self._note_stale(open_sink(), embedder):
            self._drain(worker, embedder, report)
        while not self.switch(embedder):
            self._drain(worker, embedder, report)
        return RowsRebuilt(self._model.label, embedder, rows, changed=True)

    def create(self, embedder: str, dim: int) -> bool:
        """Add the column, unless the vectors are of that embedder already or it is there; say whether it is."""

        def work(connection: Connection) -> bool:
            check_claim(self._model.label, self._active, self._generations.read(connection, self._target))
            self._generations.add(connection, self._target, self._active)
            live = self._generations.lock(connection, self._target)
            active, standby, previous = live[ACTIVE], live.get(STANDBY), live.get(PREVIOUS)
            if active.embedder == embedder:
                return False
            if embedder in {each.embedder for each in (standby, previous) if each is not None}:
                return True  # a rebuild goes on, or one that was rolled back is made once more
            if standby is not None:
                raise StoreLocked(
                    f"{self._model.label}: a rebuild for {standby.embedder!a} is not finished. Continue it with that "
                    "embedder, or give it up with rollback()."
                )
            if previous is not None:
                raise StoreLocked(
                    f"{self._model.label}: the vectors of {previous.embedder!a} are kept for a way back. Go back with "
                    "rollback(), or drop them with drop_previous()."
                )
            column = name_standby(self._declared) if active.column == self._declared else self._declared
            table = self._model.table
            if column in _list_columns(connection, table):  # of a rebuild that was killed before it was noted
                self._execute(connection, plan_drop(connection.dialect, table.name, table.schema, column))
            self._generations.add(connection, self._target, RowGeneration(column, embedder, dim, STANDBY))
            self._execute(connection, plan_column(connection.dialect, table.name, table.schema, column, dim))
            self._forget_digests(connection, column)
            return True

        return self._change(work)

    def build_index(self) -> None:
        """Build the index of the standby column beside the application, if the declared column asks for one."""
        with self._engine.connect() as connection:
            standby = self._generations.read(connection, self._target).get(STANDBY)
            if standby is None or connection.dialect.name != "postgresql":
                return
            index = self._make_index(standby)
            if index is None:
                return
            stored = read_indexes(connection, index.table, index.schema).get(index.name)
        if stored is not None and stored.is_valid and stored.index.is_like(index):
            return
        if stored is not None and stored.index.column != index.column:
            raise StoreLocked(
                f"{self._model.label}: index {index.name!r} is one of column {stored.index.column!r}. Give that index "
                "another name first."
            )
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            name = qualify(connection.dialect, index.name, index.schema)
            if stored is not None:
                self._execute(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            self._execute(connection, index.make_statement(connection.dialect, concurrently=True))

    def switch(self, embedder: str) -> bool:
        """Let the standby column be searched, and say whether it is: not while many changes wait for it."""

        def work(connection: Connection) -> bool:
            live = self._generations.lock(connection, self._target)
            if live[ACTIVE].embedder == embedder:
                return True
            other = live.get(STANDBY) or live.get(PREVIOUS)
            if other is None or other.embedder != embedder:
                raise StoreLocked(f"{self._model.label}: somebody else gave this rebuild up.")
            pending, dead = self._count(connection, embedder)
            if dead:
                raise DeadLetters(dead)
            if pending > FEW_LEFT:
                return False
            # From here on these are changes of what is searched, as any others that no worker has come to.
            rows, columns = self._outbox.rows, self._generations.table.c
            waiting = rows.c.target == name_target(self._target, embedder)
            connection.execute(update(rows).where(waiting).values(target=self._target))
            mine = columns.target == self._target
            table = self._generations.table
            connection.execute(update(table).where(mine, columns.name == live[ACTIVE].column).values(state=PREVIOUS))
            connection.execute(update(table).where(mine, columns.name == other.column).values(state=ACTIVE))
            return True

        return self._change(work)

    def roll_back(self, report: Progress | None) -> RowsRebuilt:
        """Go back to the previous column once it has caught up, or give up a rebuild that has not switched."""
        with self._engine.connect() as connection:
            live = self._generations.read(connection, self._target)
        previous = live.get(PREVIOUS)
        if previous is None:
            if STANDBY not in live:
                raise InvalidArgument(f"{self._model.label}: there is no rebuild to go back from.")
            self._change(lambda connection: self._remove(connection, STANDBY))
            return RowsRebuilt(self._model.label, live[ACTIVE].embedder, 0, changed=True)
        worker, _ = self._make_worker(previous.embedder)
        self._drain(worker, previous.embedder, report)
        while not self.switch(previous.embedder):
            self._drain(worker, previous.embedder, report)
        return RowsRebuilt(self._model.label, previous.embedder, 0, changed=True)

    def drop_previous(self) -> bool:
        """Drop the column that the last rebuild replaced, and give the other one the declared name."""
        with self._engine.connect() as connection:
            if PREVIOUS not in self._generations.read(connection, self._target):
                return False
        return self._change(lambda connection: self._remove(connection, PREVIOUS))

    def _remove(self, connection: Connection, state: str) -> bool:
        live = self._generations.lock(connection, self._target)
        gone, active, table = live.get(state), live[ACTIVE], self._model.table
        if gone is None:
            return False
        columns, dialect = self._generations.table.c, connection.dialect
        here = columns.target == self._target
        connection.execute(delete(self._generations.table).where(here, columns.name == gone.column))
        waiting = self._outbox.rows.c.target == name_target(self._target, gone.embedder)
        connection.execute(delete(self._outbox.rows).where(waiting))
        self._forget_digests(connection, gone.column)
        self._execute(connection, plan_drop(dialect, table.name, table.schema, gone.column))
        if active.column != self._declared:
            digests = self._outbox.digests
            named = name_digests(self._target, active.column, self._declared)
            connection.execute(update(digests).where(digests.c.target == named).values(target=self._target))
            connection.execute(
                update(self._generations.table).where(here, columns.name == active.column).values(name=self._declared)
            )
            self._execute(connection, plan_renaming(dialect, table.name, table.schema, active.column, self._declared))
            self._rename_index(connection, active.column)
        return True

    def _rename_index(self, connection: Connection, column: str) -> None:
        table = self._model.table
        old, new = name_index(table.name, column), name_index(table.name, self._declared)
        if old in read_indexes(connection, table.name, table.schema):
            quoted = connection.dialect.identifier_preparer.quote(new)
            name = qualify(connection.dialect, old, table.schema)
            self._execute(connection, f"ALTER INDEX {name} RENAME TO {quoted}")

    def _make_index(self, generation: RowGeneration) -> VectorIndex | None:
        column = self._model.get_vector_column()
        table, type_ = self._model.table, column.type
        index = column.info.get(INDEX)
        if not isinstance(type_, RowVector) or not isinstance(index, HNSW):
            return None
        return declare_index(table.name, generation.column, generation.dim, type_.metric, index, table.schema)

    def _note_all(self, embedder: str) -> int:
        """Note all rows for the new column. Those that a worker finds filled are not embedded again."""
        total = 0
        with Session(self._engine) as session:
            for keys in self._model.iterate_keys(session, _PAGE):
                with self._engine.begin() as connection:
                    named = [self._model.keys.format(key) for key in keys]
                    self._outbox.note(connection, name_target(self._target, embedder), named)
                total += len(keys)
        return total

    def _note_stale(self, sink: ColumnSink, embedder: str) -> int:
        """Note rows whose vector is not that of their text, and that nothing waits for: what no worker saw."""
        total = 0
        target = name_target(self._target, embedder)
        with Session(self._engine) as session:
            for keys in self._model.iterate_keys(session, _PAGE):
                records = self._model.read_records(session, keys)
                session.rollback()
                stale = sink.find_stale(records)
                if not stale:
                    continue
                with self._engine.begin() as connection:
                    self._outbox.begin_writing(connection)
                    waiting = set(self._outbox.list_pending(connection, target))
                    waiting |= set(self._outbox.list_pending(connection, self._target))
                    named = [name for key in stale if (name := self._model.keys.format(key)) not in waiting]
                    self._outbox.note(connection, target, named)
                total += len(named)
        return total

    def _drain(self, worker: SyncWorker, embedder: str, report: Progress | None) -> None:
        """Work until few changes wait; other workers with that embedder help."""
        most = 0
        while True:
            done = worker.work()
            with self._engine.connect() as connection:
                pending, dead = self._count(connection, embedder)
            most = max(most, pending)
            if report is not None:
                report("copying", most - pending, most)
            if not pending:
                if dead:
                    raise DeadLetters(dead)
                return
            if not done:
                time.sleep(_REST)

    def _count(self, connection: Connection, embedder: str) -> tuple[int, int]:
        rows = self._outbox.rows.c
        counted = select(rows.dead, func.count()).where(rows.target == name_target(self._target, embedder))
        found = {bool(dead): number for dead, number in connection.execute(counted.group_by(rows.dead))}
        return found.get(False, 0), found.get(True, 0)

    def _forget_digests(self, connection: Connection, column: str) -> None:
        digests = self._outbox.digests
        named = name_digests(self._target, column, self._declared)
        connection.execute(delete(digests).where(digests.c.target == named))

    def _change(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run a short transaction that takes the table for itself; where others hold it, it comes again."""

        def change() -> _Result:
            with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
                self._outbox.begin_writing(connection)
                return work(connection)

        return repeat(change, times=_ATTEMPTS, longest=2.0)

    def _execute(self, connection: Connection, statement: str) -> None:
        connection.execute(DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]


def _list_columns(connection: Connection, table: Table) -> set[str]:
    """Return the names of a table's columns, whatever their types are."""
    if connection.dialect.name == "sqlite":
        listed = text("SELECT name FROM pragma_table_info(:name)")
        return set(connection.execute(listed, {"name": table.name}).scalars())
    listed = text("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:name) AND NOT attisdropped")
    name = connection.dialect.identifier_preparer.format_table(table)
    return set(connection.execute(listed, {"name": name}).scalars())
