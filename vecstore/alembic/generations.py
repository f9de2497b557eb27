"""The operations for a change of the model of vectors in rows: a second column is made, searched, and stays alone."""

# Longer than 300 lines because every operation is documented here in full, and undoes another one.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection, MetaData, Text, column, delete, func, literal, select, table, text, update

from ..errors import DeadLetters, StoreLocked
from ..orm.outbox import DIGESTS, OUTBOX
from ..orm.row_generations import (
    ACTIVE,
    PREVIOUS,
    STANDBY,
    RowGeneration,
    RowGenerations,
    name_digests,
    name_standby,
    name_target,
    plan_column,
    plan_drop,
    plan_renaming,
)
from ..orm.row_rebuild import FEW_LEFT
from ..orm.vector_indexes import name_index, qualify, read_indexes
from .operations import get_connection, get_dialect, run_statements


class _GenerationOperation(MigrateOperation):
    """What concerns the columns of one declaration."""

    word = ""

    def __init__(
        self, target: str, table: str, column: str, embedder: str, dim: int, schema: str | None, ours: str | None
    ) -> None:
        self.target, self.table, self.column = target, table, column
        self.embedder, self.dim = embedder, dim
        self.schema, self.ours = schema, ours
        self.was_searched = False

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return how ``alembic check`` shows it."""
        return (self.word, self.target, self.embedder)


@Operations.register_operation("create_generation")
class CreateGeneration(_GenerationOperation):
    """A column for the vectors of another model is added."""

    word = "create_generation"

    @classmethod
    def create_generation(
        cls,
        operations: Operations,
        target: str,
        table: str,
        column: str,
        *,
        embedder: str,
        dim: int,
        schema: str | None = None,
        outbox_schema: str | None = None,
    ) -> None:
        """Add a column for the vectors of another model. ``vecstore sync rebuild`` fills it, and lets it be searched.

        Where no row has a vector, as in a new database, the declared column is made anew for the new model instead.

        Parameters
        ----------
        operations : Operations
        target : str
            The declaration, as the outbox names it: ``"article.search"``.
        table, column : str
            The column that the model declares.
        embedder : str
            The new model, as vecstore names it.
        dim : int
        schema, outbox_schema : str, optional

        Raises
        ------
        StoreLocked
            Another change is not finished, or nobody says of which model the vectors are.
        """
        operations.invoke(cls(target, table, column, embedder, dim, schema, outbox_schema))

    def reverse(self) -> MigrateOperation:
        """Return what gives the change up."""
        return DropGeneration(self.target, self.table, self.column, self.embedder, self.dim, self.schema, self.ours)


@Operations.register_operation("drop_generation")
class DropGeneration(_GenerationOperation):
    """A column whose vectors are not searched is dropped."""

    word = "drop_generation"

    @classmethod
    def drop_generation(
        cls,
        operations: Operations,
        target: str,
        table: str,
        column: str,
        *,
        embedder: str,
        dim: int,
        schema: str | None = None,
        outbox_schema: str | None = None,
        was_searched: bool = False,
    ) -> None:
        """Drop the column of a model. If the other one has another name than the declared one, it gets that.

        Before the switch that gives a change of the model up, after it there is no way back any more. The only column
        stays: a downgrade after a finished change leaves the new model.

        Parameters
        ----------
        operations : Operations
        target, table, column, embedder, dim, schema, outbox_schema
            As for ``create_generation``.
        was_searched : bool
            For ``--sql``, which cannot see it: the change is after the switch, so that the declared column goes.

        Raises
        ------
        StoreLocked
            Its vectors are searched.
        """
        made = cls(target, table, column, embedder, dim, schema, outbox_schema)
        made.was_searched = was_searched
        operations.invoke(made)

    def reverse(self) -> MigrateOperation:
        """Return what adds the column again, without vectors."""
        return CreateGeneration(self.target, self.table, self.column, self.embedder, self.dim, self.schema, self.ours)


@Operations.register_operation("switch_generation")
class SwitchGeneration(_GenerationOperation):
    """The vectors of a model are searched from now on."""

    word = "switch_generation"

    @classmethod
    def switch_generation(
        cls, operations: Operations, target: str, *, embedder: str, outbox_schema: str | None = None
    ) -> None:
        """Search the vectors of a model: the new one, or as a way back the previous one.

        Parameters
        ----------
        operations : Operations
        target, embedder, outbox_schema
            As for ``create_generation``.

        Raises
        ------
        StoreLocked
            There are none, or many changes wait for them; let a worker come so far.
        DeadLetters
        """
        operations.invoke(cls(target, "", "", embedder, 0, None, outbox_schema))


@Operations.implementation_for(CreateGeneration)
def _create(operations: Operations, operation: CreateGeneration) -> None:
    generations, connection = _make_generations(operation), get_connection(operations)
    place = name_standby(operation.column)
    if connection is not None:
        live = generations.lock(connection, operation.target)
        if any(each.embedder == operation.embedder for each in live.values()):
            return
        if len(live) > 1:
            raise StoreLocked(f"{operation.target}: a change of the model is under way. Finish it or give it up first.")
        if _is_unused(connection, operation, live):
            _replace(operations, operation, connection)
            return
        if ACTIVE not in live:
            raise StoreLocked(
                f"{operation.target}: nobody says of which model the vectors in column {operation.column!a} are. Let a "
                "worker with the former model run once, then upgrade again."
            )
    new = RowGeneration(place, operation.embedder, operation.dim, STANDBY)
    operations.execute(generations.make_insert(get_dialect(operations), operation.target, new))
    run_statements(
        operations,
        [plan_column(get_dialect(operations), operation.table, operation.schema, place, operation.dim)],
    )


def _is_unused(connection: Connection, operation: CreateGeneration, live: Mapping[str, RowGeneration]) -> bool:
    """Say whether no vector would be lost with the declared column: in a new database that gets the whole history."""
    if any(each.column != operation.column for each in live.values()):
        return False
    rows = select(literal(1)).select_from(table(operation.table, schema=operation.schema)).limit(1)
    if not live:
        rows = rows.where(column(operation.column).is_not(None))
    if connection.execute(rows).first() is not None:
        return False
    if connection.dialect.name == "postgresql":
        named = qualify(connection.dialect, operation.table, operation.schema)
        connection.execute(text(f"LOCK TABLE {named} IN ACCESS EXCLUSIVE MODE"))
    return connection.execute(rows).first() is None


def _replace(operations: Operations, operation: CreateGeneration, connection: Connection) -> None:
    """Make the declared column anew, for the vectors of the new model."""
    generations, dialect = _make_generations(operation), get_dialect(operations)
    digests = _make_table(DIGESTS, operation.ours)
    indexes = [
        each.index.fit(operation.dim)
        for each in read_indexes(connection, operation.table, operation.schema).values()
        if each.index.column == operation.column
    ]
    new = RowGeneration(operation.column, operation.embedder, operation.dim)
    for statement in (
        delete(digests).where(digests.c.target == operation.target),
        delete(generations.table).where(generations.table.c.target == operation.target),
        generations.make_insert(dialect, operation.target, new),
    ):
        operations.execute(statement)
    statements = [
        plan_drop(dialect, operation.table, operation.schema, operation.column),
        plan_column(dialect, operation.table, operation.schema, operation.column, operation.dim),
        *(index.make_statement(dialect) for index in indexes if index is not None),
    ]
    run_statements(operations, statements)


@Operations.implementation_for(DropGeneration)
def _drop(operations: Operations, operation: DropGeneration) -> None:
    generations, connection, dialect = _make_generations(operation), get_connection(operations), get_dialect(operations)
    columns, standby = generations.table.c, name_standby(operation.column)
    is_after = operation.was_searched
    gone = operation.column if is_after else standby
    if connection is not None:
        live = generations.lock(connection, operation.target)
        found = next((each for each in live.values() if each.embedder == operation.embedder), None)
        if found is None or (found.state == ACTIVE and len(live) == 1):
            return  # after the change there is nothing that could take the place of these vectors
        if found.state == ACTIVE:
            raise StoreLocked(f"{operation.target}: the vectors of {operation.embedder!a} are searched. Switch first.")
        gone = found.column
        is_after = gone == operation.column
    mine = columns.target == operation.target
    outbox, digests = (_make_table(name, operation.ours) for name in (OUTBOX, DIGESTS))
    waiting = name_target(operation.target, operation.embedder)
    digested = name_digests(operation.target, gone, operation.column)
    for statement in (
        delete(generations.table).where(mine, columns.name == gone),
        delete(outbox).where(outbox.c.target == waiting),
        delete(digests).where(digests.c.target == digested),
    ):
        operations.execute(statement)
    statements = [plan_drop(dialect, operation.table, operation.schema, gone)]
    if is_after:
        named = name_digests(operation.target, standby, operation.column)
        operations.execute(update(digests).where(digests.c.target == named).values(target=operation.target))
        operations.execute(update(generations.table).where(mine, columns.name == standby).values(name=operation.column))
        statements.append(plan_renaming(dialect, operation.table, operation.schema, standby, operation.column))
        if dialect.name == "postgresql":
            old = qualify(dialect, name_index(operation.table, standby), operation.schema)
            new = dialect.identifier_preparer.quote(name_index(operation.table, operation.column))
            statements.append(f"ALTER INDEX IF EXISTS {old} RENAME TO {new}")
    run_statements(operations, statements)


@Operations.implementation_for(SwitchGeneration)
def _switch(operations: Operations, operation: SwitchGeneration) -> None:
    generations, connection = _make_generations(operation), get_connection(operations)
    outbox = _make_table(OUTBOX, operation.ours)
    waiting = outbox.c.target == name_target(operation.target, operation.embedder)
    if connection is not None:
        live = generations.lock(connection, operation.target)
        if ACTIVE in live and live[ACTIVE].embedder == operation.embedder:
            return
        if not any(each.embedder == operation.embedder for each in live.values()):
            raise StoreLocked(f"{operation.target}: there are no vectors of {operation.embedder!a}.")
        counted = select(outbox.c.dead, func.count()).where(waiting).group_by(outbox.c.dead)
        found = {bool(dead): number for dead, number in connection.execute(counted)}
        if found.get(True):
            raise DeadLetters(found[True])
        if found.get(False, 0) > FEW_LEFT:
            raise StoreLocked(f"{operation.target}: {found[False]:,} changes wait for the new vectors. Run a worker.")
    columns = generations.table.c
    mine, is_new = columns.target == operation.target, columns.embedder == operation.embedder
    for statement in (
        update(outbox).where(waiting).values(target=operation.target),
        update(generations.table).where(mine, ~is_new, columns.state == ACTIVE).values(state=PREVIOUS),
        update(generations.table).where(mine, is_new).values(state=ACTIVE),
    ):
        operations.execute(statement)


def _make_generations(operation: _GenerationOperation) -> RowGenerations:
    return RowGenerations(MetaData(), schema=operation.ours)


def _make_table(name: str, schema: str | None) -> Any:
    return table(name, column("target", Text), column("dead"), schema=schema)
