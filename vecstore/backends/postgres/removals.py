"""Removing records. A version above 0 outlives its record in a tombstone, a row without an embedding."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Text, delete, null, select, true, union_all, update
from sqlalchemy.dialects.postgresql import insert as insert_into
from sqlalchemy.types import TypeEngine

from . import generation_guard
from .catalogue_tables import CatalogueTables
from .change_list import count_rows, finish_write
from .filters import Condition
from .generation_table import Layout
from .statements import Statement, unnest_arrays
from .writes import ZERO, make_array_parameter

_FENCES: dict[str, TypeEngine[Any]] = {"id": Text(), "version": BigInteger()}


def compile_delete(catalogue: CatalogueTables, layout: Layout, chosen: Condition, *, standby: bool) -> Statement:
    """Remove the chosen records; answers with how many gates stood open, and how many records there were."""
    table, gate = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    opened = select(gate.c.noting).exists()
    doomed = select(table.c.id, table.c.version).where(table.c.embedding.is_not(None), chosen, opened)
    rows = doomed.order_by(table.c.id).with_for_update(of=table).cte("doomed")
    gone = delete(table).where(table.c.id == rows.c.id, rows.c.version == ZERO).returning(table.c.id).cte("gone")
    burying = update(table).values(_make_tombstone_values(layout)).where(table.c.id == rows.c.id, rows.c.version > ZERO)
    buried = burying.returning(table.c.id).cte("buried")
    changed = union_all(select(gone.c.id), select(buried.c.id)).cte("changed")
    return finish_write(catalogue, gate, changed, count_rows(changed))


def compile_fenced_delete(catalogue: CatalogueTables, layout: Layout, *, standby: bool) -> Statement:
    """Remove records whose versions the fences reach, and leave tombstones of the fences above 0."""
    table, gate = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    fences = unnest_arrays(
        "given", _FENCES, {name: make_array_parameter(f"given_{name}", each) for name, each in _FENCES.items()}
    )
    given = select(fences.c.id, fences.c.version).select_from(gate.join(fences, true())).cte("fences")
    was = table.c.embedding.is_not(None).label("was")
    reached = select(table.c.id, was, given.c.version).join(given, given.c.id == table.c.id)
    reached = reached.where(table.c.version <= given.c.version).order_by(table.c.id)
    rows = reached.with_for_update(of=table).cte("reached")
    gone = delete(table).where(table.c.id == rows.c.id, rows.c.version == ZERO).returning(table.c.id).cte("gone")
    above = select(given.c.id, given.c.version).where(given.c.version > ZERO).order_by(given.c.id.collate("C"))
    marking = insert_into(table).from_select(["id", "version"], above)
    marked = marking.on_conflict_do_update(
        index_elements=[table.c.id],
        set_={"version": marking.excluded.version, **_make_tombstone_values(layout)},
        where=table.c.version <= marking.excluded.version,
    )
    buried = marked.returning(table.c.id).cte("buried")
    left = union_all(select(gone.c.id), select(buried.c.id)).subquery("left")
    changed = select(rows.c.id).join(left, left.c.id == rows.c.id).where(rows.c.was).cte("changed")
    return finish_write(catalogue, gate, changed, count_rows(changed))


def _make_tombstone_values(layout: Layout) -> dict[str, Any]:
    return {each.name: null() for each in layout.table.c if each.name not in {"id", "version"}}
