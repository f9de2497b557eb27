"""Changing parts of the selected records, in one statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    TableValuedAlias,
    Text,
    all_,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from vecstore.rows.metadata import MAX_BYTES

from . import generation_guard
from .catalogue_tables import CatalogueTables
from .change_list import count_rows, finish_write
from .filters import Condition
from .generation_table import Layout
from .statements import Statement, compile_statement, make_parameter
from .writes import divide_by_zero, list_sent_types, make_array_parameter

_FIRST: ColumnElement[Any] = literal_column("0").label("part")
_LAST: ColumnElement[Any] = literal_column("1").label("part")


def compile_update(
    catalogue: CatalogueTables,
    layout: Layout,
    chosen: Condition,
    assigned: frozenset[str],
    *,
    lays_extra: bool,
    standby: bool,
) -> Statement:
    """Change columns of the chosen records; answers with how many gates stood open, and how many records there were.

    An undeclared rest that grows beyond its limit divides by zero, which undoes all of it.

    Parameters
    ----------
    assigned : frozenset of str
        Columns that take the parameter ``set_<column>``.
    lays_extra : bool
        Whether the members of the JSON object ``laid`` are laid over the undeclared rest, once the keys of
        ``removed`` are out of it.
    """
    table, gate = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    types, values = list_sent_types(layout), dict[str, Any]()
    for name in sorted(assigned):
        if name == "embedding":
            values[name] = select(func.unnest(make_array_parameter("set_embedding", types[name]))).scalar_subquery()
            continue
        sent = cast(make_parameter(f"set_{name}", types[name]), types[name])
        values[name] = layout.form(name.removeprefix("f_")).into(sent) if name.startswith("f_") else sent
    opened = select(gate.c.noting).exists()
    read = [merge_extra(layout).label("merged")] if lays_extra else []
    locked = select(table.c.id, *read).where(table.c.embedding.is_not(None), chosen, opened).order_by(table.c.id)
    # Locked in the order of ids first, so that two writers cannot wait for each other.
    chosen_rows = locked.with_for_update(of=table).cte("chosen")
    if lays_extra:
        values["extra"] = cast(_limit_size(chosen_rows.c.merged), JSON())
    if not values:
        values["version"] = table.c.version
    changing = update(table).values(values).where(table.c.id == chosen_rows.c.id)
    changed = changing.returning(table.c.id).cte("changed")
    return finish_write(catalogue, gate, changed, count_rows(changed))


def compile_outgrown(layout: Layout, chosen: Condition) -> Statement:
    """Read the id of a chosen record whose undeclared rest grows beyond its limit."""
    table = layout.table
    grown = func.octet_length(merge_extra(layout)) > literal_column(str(MAX_BYTES))
    return compile_statement(
        select(table.c.id).where(table.c.embedding.is_not(None), chosen, grown).limit(literal_column("1"))
    )


def merge_extra(layout: Layout) -> ColumnElement[Any]:
    """Return the undeclared rest with members taken out, replaced in their places and added, as JSON text.

    Values stay as they are spelled.
    """
    extra, laid = layout.table.c.extra, cast(make_parameter("laid", Text()), JSON())
    old, new = _expand_members(extra, "old"), _expand_members(laid, "new")
    staying = or_(new.c.key.is_not(None), old.c.key != all_(make_array_parameter("removed", Text())))
    kept = select(old.c.key, func.coalesce(_to_text(new), _to_text(old)).label("value"), _FIRST, old.c.number)
    kept = kept.select_from(old.outerjoin(new, new.c.key == old.c.key)).where(staying)
    again, known = _expand_members(laid, "added"), _expand_members(extra, "known")
    is_known = select(known.c.key).where(known.c.key == again.c.key).exists()
    added = select(again.c.key, _to_text(again).label("value"), _LAST, again.c.number).where(~is_known)
    members = union_all(kept, added).subquery("members")
    pair = func.to_json(members.c.key).op("||")(literal_column("':'")).op("||")(members.c.value)
    listed = func.string_agg(pair, aggregate_order_by(literal_column("','"), members.c.part, members.c.number))
    text = func.concat(literal_column("'{'"), listed, literal_column("'}'"))
    return select(text).select_from(members).scalar_subquery()


def _expand_members(extra: ColumnElement[Any], name: str) -> TableValuedAlias:
    return func.json_each(extra).table_valued("key", "value", with_ordinality="number").render_derived(name=name)


def _to_text(members: TableValuedAlias) -> ColumnElement[Any]:
    return cast(members.c.value, Text())


def _limit_size(text: ColumnElement[Any]) -> ColumnElement[Any]:
    size = func.octet_length(text)
    beyond = cast(divide_by_zero(cast(size, BigInteger())), Text())
    return case((size > literal_column(str(MAX_BYTES)), beyond), else_=text)
