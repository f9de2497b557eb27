"""What a database lacks of an application's vectors, added to what autogenerate found itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alembic.operations import MigrateOperation, ops
from alembic.util import rev_id
from sqlalchemy import Connection, Table, inspect

from ..orm.row_generations import name_standby
from ..orm.triggers import find_missing_triggers, has_tables, read_captures
from ..orm.vector_columns import RowVector, find_vector_index
from ..orm.vector_indexes import StoredIndex, name_index, read_indexes
from .generations import CreateGeneration
from .operations import (
    CreateCapture,
    CreateVectorExtension,
    CreateVectorIndex,
    DropCapture,
    DropVectorIndex,
    ReplaceVectorIndex,
)
from .settings import OPTION, Settings, is_vector, list_vector_columns

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

    from ..orm.captures import Capture
    from ..orm.column_generations import DeclaredColumn

_INDEX_OPERATIONS = (CreateVectorIndex, DropVectorIndex, ReplaceVectorIndex)


def complete_revision(context: AutogenContext, upgrade: ops.UpgradeOps, schemas: set[str | None]) -> None:
    """Add operations for vectors, their indexes and triggers to those that Alembic found."""
    settings = context.opts.get(OPTION)
    connection = context.connection
    if not isinstance(settings, Settings) or connection is None:
        return
    first: list[MigrateOperation] = []
    last: list[MigrateOperation] = []
    for table in context.sorted_tables:
        if list_vector_columns(table):
            _compare_indexes(connection, table, upgrade, first, last)
    for declared in settings.columns:
        last += _compare_model(connection, declared, upgrade)
    for dropped in _find_all(upgrade.ops, ops.DropTableOp):
        stored = read_indexes(connection, dropped.table_name, dropped.schema)
        first += [DropVectorIndex(each.index) for each in stored.values() if _is_ours(each)]
    if any(is_vector(column.type) for column in _list_new_columns(upgrade.ops)):
        first.insert(0, CreateVectorExtension())
    _compare_captures(context, settings, connection, upgrade, first, last)
    upgrade.ops[:] = [*first, *upgrade.ops, *last]


def split_concurrent(directives: list[Any]) -> None:
    """Move what PostgreSQL does CONCURRENTLY into a revision of its own, since it takes no transaction."""
    for script in list(directives):
        moved = [each for each in script.upgrade_ops.ops if _is_concurrent(each)]
        if not moved or len(moved) == len(script.upgrade_ops.ops):
            continue
        script.upgrade_ops.ops = [each for each in script.upgrade_ops.ops if not _is_concurrent(each)]
        script.upgrade_ops.reverse_into(script.downgrade_ops)
        alone = ops.UpgradeOps(moved, upgrade_token=script.upgrade_ops.upgrade_token)
        back = ops.DowngradeOps([], downgrade_token=script.downgrade_ops.downgrade_token)
        message = " ".join(part for part in (script.message, "vector indexes") if part)
        directives.append(
            ops.MigrationScript(
                rev_id(), alone, alone.reverse_into(back), message=message, head=script.rev_id,
                version_path=script.version_path,
            )
        )  # fmt: skip


def _is_concurrent(operation: MigrateOperation) -> bool:
    return isinstance(operation, _INDEX_OPERATIONS) and operation.concurrently


def _is_ours(stored: StoredIndex) -> bool:
    return stored.index.name == name_index(stored.index.table, stored.index.column)


def _compare_indexes(
    connection: Connection,
    table: Table,
    upgrade: ops.UpgradeOps,
    first: list[MigrateOperation],
    last: list[MigrateOperation],
) -> None:
    declared = [find_vector_index(table, name) for name in list_vector_columns(table)]
    wanted = {index.name: index for index in declared if index is not None}
    is_new = any(_is_for(each, table) for each in _find_all(upgrade.ops, ops.CreateTableOp))
    if is_new or connection.dialect.name != "postgresql":
        # Other engines have no such indexes to compare; the migration is to be right on PostgreSQL too.
        fresh = {column.name for column in _list_new_columns(upgrade.ops, table)}
        last += [CreateVectorIndex(index) for index in wanted.values() if is_new or index.column in fresh]
        return
    second = {name_standby(name) for name in list_vector_columns(table)}
    found = read_indexes(connection, table.name, table.schema)
    stored = {name: each for name, each in found.items() if _is_ours(each) and each.index.column not in second}
    present = {column["name"] for column in inspect(connection).get_columns(table.name, schema=table.schema)}
    for name, each in stored.items():
        if name not in wanted:
            # With its column it goes in one transaction, before the column does.
            is_kept = each.index.column in table.c
            (last if is_kept else first).append(DropVectorIndex(each.index, concurrently=is_kept))
    for name, index in wanted.items():
        there = stored.get(name)
        if there is None or not there.is_valid:
            # On a column that is added in the same migration there is nothing but NULL.
            last.append(CreateVectorIndex(index, concurrently=index.column in present))
        elif not there.index.is_like(index):
            last.append(ReplaceVectorIndex(index, there.index, concurrently=True))


def _compare_model(connection: Connection, declared: DeclaredColumn, upgrade: ops.UpgradeOps) -> list[MigrateOperation]:
    """Return what a changed model takes, in place of an ALTER that fails on a table with rows."""
    table, wanted = declared.table, declared.newest
    is_changed = False
    for changes in _find_all(upgrade.ops, ops.ModifyTableOps, inside=False):
        if (changes.table_name, changes.schema) == (table.name, table.schema):
            altered = [each for each in changes.ops if _is_retyped(each, wanted.column)]
            is_changed = is_changed or bool(altered)
            changes.ops[:] = [each for each in changes.ops if each not in altered]
    upgrade.ops[:] = [each for each in upgrade.ops if not isinstance(each, ops.ModifyTableOps) or each.ops]
    if any(column.name == wanted.column for column in _list_new_columns(upgrade.ops, table)):
        return []
    ours = declared.generations
    live = (
        ours.read(connection, declared.target)
        if inspect(connection).has_table(ours.table.name, ours.table.schema)
        else {}
    )
    if any(each.embedder == wanted.embedder for each in live.values()) or not (live or is_changed):
        return []
    return [
        CreateGeneration(
            declared.target, table.name, wanted.column, wanted.embedder, wanted.dim, table.schema, ours.table.schema
        )
    ]


def _is_retyped(operation: MigrateOperation, column: str) -> bool:
    is_same = isinstance(operation, ops.AlterColumnOp) and operation.column_name == column
    return is_same and isinstance(operation.modify_type, RowVector)  # type: ignore[attr-defined]


def _compare_captures(
    context: AutogenContext,
    settings: Settings,
    connection: Connection,
    upgrade: ops.UpgradeOps,
    first: list[MigrateOperation],
    last: list[MigrateOperation],
) -> None:
    schemas = [table.schema for table in context.sorted_tables if table.schema is not None]
    stored = {capture.id: capture for capture in read_captures(connection, sorted(set(schemas)))}
    wanted = {capture.id: capture for capture in settings.captures}
    mine = _list_own_tables(context, upgrade)
    first += [
        DropCapture(capture)
        for target, capture in stored.items()
        if target not in wanted and (capture.schema, capture.table) in mine
    ]
    for target, capture in wanted.items():
        is_made = has_tables(connection, capture) and stored.get(target) == capture
        if is_made and not find_missing_triggers(connection, capture) and not _is_rebuilt(context, upgrade, capture):
            continue
        if target in stored:
            first.append(DropCapture(stored[target]))
        last.append(CreateCapture(capture))


def _list_own_tables(context: AutogenContext, upgrade: ops.UpgradeOps) -> set[tuple[str | None, str]]:
    """Return the tables whose triggers may go: other applications in the same database have triggers of their own."""
    found = {
        (table.schema, table.name)
        for table in context.sorted_tables
        if context.run_object_filters(table, table.name, "table", False, None)
        and context.run_name_filters(table.name, "table", {"schema_name": table.schema})
    }
    return found | {(each.schema, each.table_name) for each in _find_all(upgrade.ops, ops.DropTableOp)}


def _is_rebuilt(context: AutogenContext, upgrade: ops.UpgradeOps, capture: Capture) -> bool:
    """Say whether SQLite will copy a table, and so lose its triggers."""
    if context.dialect.name != "sqlite" or not context.opts.get("render_as_batch"):
        return False
    changed = [
        each for each in upgrade.ops if isinstance(each, ops.ModifyTableOps) and each.table_name == capture.table
    ]
    return any(not isinstance(each, ops.CreateIndexOp | ops.DropIndexOp) for found in changed for each in found.ops)


def _list_new_columns(operations: Sequence[MigrateOperation], table: Table | None = None) -> list[Any]:
    """Return the columns that are created, of one table or of all."""
    added = [each for each in _find_all(operations, ops.AddColumnOp) if table is None or _is_for(each, table)]
    created = [each for each in _find_all(operations, ops.CreateTableOp) if table is None or _is_for(each, table)]
    columns = [column for each in created for column in each.columns if hasattr(column, "type")]
    return [*(each.column for each in added), *columns]


def _is_for(operation: Any, table: Table) -> bool:
    return (operation.table_name, operation.schema) == (table.name, table.schema)


def _find_all(operations: Sequence[MigrateOperation], kind: type[Any], *, inside: bool = True) -> list[Any]:
    found: list[Any] = []
    for each in operations:
        if isinstance(each, kind):
            found.append(each)
        elif inside and isinstance(each, ops.OpContainer):
            found += _find_all(each.ops, kind)
    return found
