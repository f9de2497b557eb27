"""Statements that change records. In each, the guard of the generation, the rows and the notes commit together.

A batch travels as one array a column. Many new records are copied in instead, see `bulk_copy`; the statement here is
for the rest: few records, stored ids, tombstones, fences, a caller's transaction, and while changes are noted.

Rows are locked in the order of ids, which keeps two writers from waiting for each other. A version above 0 outlives its
record in a tombstone; see `generation_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    JSON,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    TableValuedAlias,
    Text,
    all_,
    and_,
    case,
    cast,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as insert_into
from sqlalchemy.types import TypeEngine

from vecstore.rows.metadata import MAX_BYTES

from . import generation_guard
from .catalogue_tables import CatalogueTables
from .change_list import count_rows, finish_write
from .column_types import VectorType
from .filters import Condition
from .generation_table import Layout, name_column
from .statements import Statement, compile_statement, enclose_locks, make_parameter, unnest_arrays

ZERO = literal_column("0", BigInteger())
_ONE = literal_column("1", BigInteger())
_FIRST: ColumnElement[Any] = literal_column("0").label("part")
_LAST: ColumnElement[Any] = literal_column("1").label("part")
_FENCES: dict[str, TypeEngine[Any]] = {"id": Text(), "version": BigInteger()}


def compile_write(
    catalogue: CatalogueTables, layout: Layout, *, insert: bool, fenced: bool, standby: bool
) -> Statement:
    """Write a batch; the answer is the number of guards that passed, and of rows written.

    An insert that meets a stored id divides by zero, which undoes everything.
    """
    table, guard = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    inserting, replaced = upsert_given(layout, guard, fenced=fenced)
    condition: ColumnElement[bool] | None = layout.mark.is_(null()) if insert else None
    if fenced:
        condition = table.c.version <= inserting.excluded.version
    changed = inserting.on_conflict_do_update(index_elements=[table.c.id], set_=replaced, where=condition)
    written = changed.returning(table.c.id).cte("changed")
    count = count_rows(written)
    if insert:
        refused = and_(count_rows(guard) == _ONE, count < make_parameter("rows", BigInteger()))
        count = case((refused, divide_by_zero(count)), else_=count)
    return finish_write(catalogue, guard, written, count)


def upsert_given(layout: Layout, guard: CTE, *, fenced: bool) -> tuple[Insert, dict[str, ColumnElement[Any]]]:
    """Return the INSERT of a batch, if the guard passes, and what replaces the columns of a stored record."""
    types = list_sent_types(layout, fenced=fenced)
    given = unnest_arrays(
        "given", types, {name: make_array_parameter(f"given_{name}", each) for name, each in types.items()}
    )
    values: dict[str, ColumnElement[Any]] = {
        "id": given.c.id,
        "version": given.c.version if fenced else ZERO,
        "embedding": given.c.embedding,
        "body": given.c.body,
        "extra": cast(given.c.extra, JSON()),
    }
    if layout.schema.dynamic:
        values["extra_values"] = cast(given.c.extra_values, JSONB())
    for field in layout.schema.fields:
        values[name_column(field)] = layout.get_type(field).into(given.c[name_column(field)])
    rows = select(*values.values()).select_from(guard.join(given, true())).order_by(given.c.id.collate("C"))
    inserting = insert_into(layout.table).from_select(list(values), rows)
    kept = {"id"} if fenced else {"id", "version"}
    replaced: dict[str, ColumnElement[Any]] = {name: inserting.excluded[name] for name in values if name not in kept}
    return inserting, replaced


def list_sent_types(layout: Layout, *, fenced: bool = False) -> Mapping[str, TypeEngine[Any]]:
    """Return the columns of a batch, and the type of one value of each."""
    types: dict[str, TypeEngine[Any]] = {"id": Text()}
    if fenced:
        types["version"] = BigInteger()
    types |= {"embedding": VectorType(layout.vector_type, layout.extension), "body": Text(), "extra": Text()}
    if layout.schema.dynamic:
        types["extra_values"] = Text()
    return types | {name_column(field): layout.get_type(field).sent for field in layout.schema.fields}


def make_array_parameter(name: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a parameter that is an array."""
    return cast(make_parameter(name, ARRAY(type_)), ARRAY(type_))


def divide_by_zero(number: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a division by zero that the planner cannot foresee."""
    return _ONE // (number - number)


def compile_stored_ids(layout: Layout) -> Statement:
    """Read up to three of some ids that are stored."""
    table = layout.table
    found = select(table.c.id).where(table.c.id == match_any("ids"), layout.mark.is_not(null()))
    return compile_statement(found.order_by(table.c.id).limit(literal_column("3")))


def match_any(name: str) -> ColumnElement[Any]:
    """Return ``ANY`` of a parameter that is a list of strings."""
    return make_array_parameter(name, Text()).any_()


def compile_update(
    catalogue: CatalogueTables,
    layout: Layout,
    chosen: Condition,
    assigned: frozenset[str],
    *,
    merges_extra: bool,
    standby: bool,
) -> Statement:
    """Change columns of the chosen records; the answer is the number of guards that passed, and of records there were.

    Undeclared metadata that grows beyond its limit divides by zero, which undoes everything.

    Parameters
    ----------
    assigned : frozenset of str
        Columns that take the parameter ``set_<column>``.
    merges_extra : bool
        Whether the undeclared metadata loses the keys of ``removed`` and takes the members of the JSON object
        ``merged``.
    """
    table, guard = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    types, values = list_sent_types(layout), dict[str, Any]()
    for name in sorted(assigned):
        if name == "embedding":
            values[name] = select(func.unnest(make_array_parameter("set_embedding", types[name]))).scalar_subquery()
            continue
        sent = cast(make_parameter(f"set_{name}", types[name]), types[name])
        values[name] = layout.get_type(name.removeprefix("f_")).into(sent) if name.startswith("f_") else sent
    opened = select(guard.c.noting).exists()
    read = [merge_extra(layout).label("merged")] if merges_extra else []
    locked = select(table.c.id, *read).where(layout.mark.is_not(null()), chosen, opened).order_by(table.c.id)
    chosen_rows = locked.with_for_update(of=table).cte("chosen")
    if merges_extra:
        values["extra"] = cast(_limit_size(chosen_rows.c.merged), JSON())
        if layout.schema.dynamic:
            values["extra_values"] = merge_values(layout)
    if not values:
        values["version"] = table.c.version
    changing = update(table).values(values).where(table.c.id == chosen_rows.c.id)
    changed = changing.returning(table.c.id).cte("changed")
    return finish_write(catalogue, guard, changed, count_rows(changed))


def compile_outgrown(layout: Layout, chosen: Condition) -> Statement:
    """Read the id of a chosen record whose undeclared metadata would grow beyond its limit."""
    table = layout.table
    grown = func.octet_length(merge_extra(layout)) > literal_column(str(MAX_BYTES))
    return compile_statement(
        select(table.c.id).where(layout.mark.is_not(null()), chosen, grown).limit(literal_column("1"))
    )


def merge_extra(layout: Layout) -> ColumnElement[Any]:
    """Return the undeclared metadata with members removed, replaced in their places and added, as JSON text.

    Numbers and strings keep their spelling.
    """
    extra, merged = layout.table.c.extra, cast(make_parameter("merged", Text()), JSON())
    old, new = _expand_members(extra, "old"), _expand_members(merged, "new")
    staying = or_(new.c.key.is_not(None), old.c.key != all_(make_array_parameter("removed", Text())))
    kept = select(old.c.key, func.coalesce(_to_text(new), _to_text(old)).label("value"), _FIRST, old.c.number)
    kept = kept.select_from(old.outerjoin(new, new.c.key == old.c.key)).where(staying)
    again, known = _expand_members(merged, "added"), _expand_members(extra, "known")
    is_known = select(known.c.key).where(known.c.key == again.c.key).exists()
    added = select(again.c.key, _to_text(again).label("value"), _LAST, again.c.number).where(~is_known)
    members = union_all(kept, added).subquery("members")
    pair = func.to_json(members.c.key).op("||")(literal_column("':'")).op("||")(members.c.value)
    listed = func.string_agg(pair, aggregate_order_by(literal_column("','"), members.c.part, members.c.number))
    text = func.concat(literal_column("'{'"), listed, literal_column("'}'"))
    return select(text).select_from(members).scalar_subquery()


def merge_values(layout: Layout) -> ColumnElement[Any]:
    """Return the canonical values of `merge_extra`."""
    kept = layout.table.c.extra_values.op("-", return_type=JSONB())(make_array_parameter("removed", Text()))
    return kept.op("||", return_type=JSONB())(cast(cast(make_parameter("merged_values", Text()), Text()), JSONB()))


def _expand_members(extra: ColumnElement[Any], name: str) -> TableValuedAlias:
    return func.json_each(extra).table_valued("key", "value", with_ordinality="number").render_derived(name=name)


def _to_text(members: TableValuedAlias) -> ColumnElement[Any]:
    return cast(members.c.value, Text())


def _limit_size(text: ColumnElement[Any]) -> ColumnElement[Any]:
    size = func.octet_length(text)
    beyond = cast(divide_by_zero(cast(size, BigInteger())), Text())
    return case((size > literal_column(str(MAX_BYTES)), beyond), else_=text)


def compile_delete(catalogue: CatalogueTables, layout: Layout, chosen: Condition, *, standby: bool) -> Statement:
    """Remove the chosen records; the answer is the number of guards that passed, and of records there were."""
    table, guard = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    opened = select(guard.c.noting).exists()
    removed = select(table.c.id, table.c.version).where(layout.mark.is_not(null()), chosen, opened)
    rows = removed.order_by(table.c.id).with_for_update(of=table).cte("removed")
    gone = delete(table).where(table.c.id == rows.c.id, rows.c.version == ZERO).returning(table.c.id).cte("gone")
    emptying = update(table).values(make_tombstone_values(layout)).where(table.c.id == rows.c.id, rows.c.version > ZERO)
    tombstones = emptying.returning(table.c.id).cte("tombstones")
    changed = union_all(select(gone.c.id), select(tombstones.c.id)).cte("changed")
    return finish_write(catalogue, guard, changed, count_rows(changed))


def compile_fenced_delete(catalogue: CatalogueTables, layout: Layout, *, standby: bool) -> Statement:
    """Remove records whose versions the fences reach, and leave tombstones of the fences above 0."""
    guard = generation_guard.guard_write(catalogue, standby=standby)
    changed, _ = delete_given(layout, guard)
    return finish_write(catalogue, guard, changed, count_rows(changed))


def delete_given(layout: Layout, guard: CTE) -> tuple[CTE, CompoundSelect[Any]]:
    """Return what a fenced delete does, if its guard passes: the removed records, and the ids that the fences reach."""
    table = layout.table
    fences = unnest_arrays(
        "given", _FENCES, {name: make_array_parameter(f"given_{name}", each) for name, each in _FENCES.items()}
    )
    given = select(fences.c.id, fences.c.version).select_from(guard.join(fences, true())).cte("fences")
    was = layout.mark.is_not(null()).label("was")
    reached = select(table.c.id, was, given.c.version).join(given, given.c.id == table.c.id)
    reached = reached.where(table.c.version <= given.c.version).order_by(table.c.id)
    rows = enclose_locks(reached.with_for_update(of=table)).cte("reached")
    gone = delete(table).where(table.c.id == rows.c.id, rows.c.version == ZERO).returning(table.c.id).cte("gone")
    above = select(given.c.id, given.c.version).where(given.c.version > ZERO).order_by(given.c.id.collate("C"))
    marking = insert_into(table).from_select(["id", "version"], above)
    marked = marking.on_conflict_do_update(
        index_elements=[table.c.id],
        set_={"version": marking.excluded.version, **make_tombstone_values(layout)},
        where=table.c.version <= marking.excluded.version,
    )
    tombstones = marked.returning(table.c.id).cte("tombstones")
    left = union_all(select(gone.c.id), select(tombstones.c.id)).cte("left")
    changed = select(rows.c.id).join(left, left.c.id == rows.c.id).where(rows.c.was).cte("changed")
    is_stored = select(table.c.id).where(table.c.id == given.c.id).exists()
    return changed, union_all(select(left.c.id), select(given.c.id).where(given.c.version == ZERO, ~is_stored))


def make_tombstone_values(layout: Layout) -> dict[str, Any]:
    """Return the columns that a tombstone has emptied."""
    return {each.name: null() for each in layout.table.c if each.name not in {"id", "version"}}
