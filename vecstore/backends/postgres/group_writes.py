"""Groups of records, replaced in one transaction of a few statements.

The first one locks all stored records of the groups in the order of ids, as every write does, so that two writers do
not wait for each other. The next ones decide: they write the heads, or the tombstones of empty groups, as far as the
fences allow, and so lock new ones too, also in the order of ids. Only a statement that begins after that sees every
record that an earlier writer of the same group has left, which is why the rest is not a part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence, Set
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    TableValuedAlias,
    Text,
    all_,
    delete,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy import update as change
from sqlalchemy.types import TypeEngine

from vecstore.backend import Rows, Superseded
from vecstore.groups import find_bounds, read_member
from vecstore.rows.selected import take_rows

from . import generation_guard
from .catalogue_tables import CatalogueTables
from .change_list import count_rows, finish_write
from .generation_table import Layout
from .rows import encode_write
from .statements import Answer, Statement, compile_statement, enclose_locks, unnest_arrays
from .writes import ZERO, delete_given, make_array_parameter, make_tombstone_values, match_any, upsert_given

_RANGES: Mapping[str, TypeEngine[Any]] = {"low": Text(), "high": Text(), "fence": BigInteger()}
_JUST_ABOVE = "\x01"
"""No id lies between another one and the same with this behind it: it is the lowest character of an id."""
_NUMBER: ColumnElement[Any] = literal_column("'^[1-9][0-9]*$'")


def compile_locking(catalogue: CatalogueTables, layout: Layout, *, standby: bool) -> Statement:
    """Lock the stored records of some ranges of ids; the answer is how many guards passed, and ids that begin one."""
    table, guard = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    ranges = _unnest_ranges(["low", "high"])
    low, high = ranges.c.low.collate("C"), ranges.c.high.collate("C")
    found = select(table.c.id).join(ranges, (table.c.id >= low) & (table.c.id < high))
    found = found.where(select(guard.c.noting).exists()).order_by(table.c.id)
    locked = enclose_locks(found.with_for_update(of=table)).cte("locked")
    heads = _list_ids(select(locked.c.id).where(locked.c.id == match_any("range_low")))
    return compile_statement(select(count_rows(guard), heads), settings=generation_guard.SETTINGS)


def compile_heads(catalogue: CatalogueTables, layout: Layout, *, standby: bool) -> Statement:
    """Write heads as their fences allow; the answer is the number of guards that passed, and the ids written."""
    guard = generation_guard.guard_write(catalogue, standby=standby)
    inserting, replaced = upsert_given(layout, guard, fenced=True)
    is_reached = layout.table.c.version <= inserting.excluded.version
    changed = inserting.on_conflict_do_update(index_elements=[layout.table.c.id], set_=replaced, where=is_reached)
    written = changed.returning(layout.table.c.id).cte("changed")
    return finish_write(catalogue, guard, written, _list_ids(select(written.c.id)))


def compile_empty_heads(catalogue: CatalogueTables, layout: Layout, *, standby: bool) -> Statement:
    """Remove heads as their fences allow; the answer is the number of guards that passed, and the ids reached."""
    guard = generation_guard.guard_write(catalogue, standby=standby)
    changed, reached = delete_given(layout, guard)
    return finish_write(catalogue, guard, changed, _list_ids(reached))


def compile_members(catalogue: CatalogueTables, layout: Layout, *, standby: bool) -> Statement:
    """Write the other records of groups; the answer is the number of guards that passed, and of records written."""
    table, guard = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    inserting, replaced = upsert_given(layout, guard, fenced=True)
    replaced["version"] = func.greatest(table.c.version, inserting.excluded.version)
    changed = inserting.on_conflict_do_update(index_elements=[table.c.id], set_=replaced)
    written = changed.returning(table.c.id).cte("changed")
    return finish_write(catalogue, guard, written, count_rows(written))


def compile_dropping(catalogue: CatalogueTables, layout: Layout, *, standby: bool) -> Statement:
    """Remove the members of groups that are not kept; the answer is how many guards passed, and how many there were."""
    table, guard = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    ranges = _unnest_ranges(list(_RANGES))
    low, high = ranges.c.low.collate("C"), ranges.c.high.collate("C")
    left = func.greatest(table.c.version, ranges.c.fence).label("left")
    found = select(table.c.id, left).join(ranges, (table.c.id >= low) & (table.c.id < high))
    found = found.where(
        layout.mark.is_not(null()),
        table.c.id != all_(make_array_parameter("kept", Text())),
        func.substr(table.c.id, func.length(low)).op("~")(_NUMBER),
        select(guard.c.noting).exists(),
    )
    rows = enclose_locks(found.order_by(table.c.id).with_for_update(of=table)).cte("dropped")
    gone = delete(table).where(table.c.id == rows.c.id, rows.c.left == ZERO).returning(table.c.id).cte("gone")
    emptying = change(table).values({"version": rows.c.left, **make_tombstone_values(layout)})
    emptied = emptying.where(table.c.id == rows.c.id, rows.c.left > ZERO).returning(table.c.id).cte("tombstones")
    changed = union_all(select(gone.c.id), select(emptied.c.id)).cte("changed")
    return finish_write(catalogue, guard, changed, count_rows(changed))


def _unnest_ranges(names: Sequence[str]) -> TableValuedAlias:
    types = {name: _RANGES[name] for name in names}
    return unnest_arrays("ranges", types, {name: make_array_parameter(f"range_{name}", types[name]) for name in types})


def _list_ids(chosen: Any) -> ColumnElement[Any]:
    ids = chosen.subquery("ids")
    return select(func.array_agg(ids.c.id)).select_from(ids).scalar_subquery()


STATEMENTS: Mapping[str, Callable[..., Statement]] = {
    "locking": compile_locking,
    "heads": compile_heads,
    "empty heads": compile_empty_heads,
    "members": compile_members,
    "dropping": compile_dropping,
}
"""By what a step does."""
RunStep = Callable[[str, Mapping[str, Any]], Answer]
"""Runs one of the statements with values, and returns its answer."""


def write_groups(run: RunStep, layout: Layout, rows: Rows, fences: Mapping[str, int]) -> int:
    """Replace groups in the transaction of ``run``; return the rows written.

    Raises
    ------
    Superseded
        A guard did not pass. The transaction is to be undone: an earlier guard may have, because the guard of a
        standby's write keeps nobody from changing the role.
    """

    def step(name: str, values: Mapping[str, Any]) -> Any:
        [(opened, found)] = run(name, values)
        if not opened:
            raise Superseded
        return found

    heads = [read_member(id_)[0] for id_ in rows.ids]
    filled = [place for place, head in enumerate(heads) if rows.ids[place] == head]
    empty = [head for head in fences if head not in set(heads)]
    reached = [pair for head in fences for pair in ((head, head + _JUST_ABOVE), find_bounds(head))]
    ranges = {"range_low": [low for low, _ in reached], "range_high": [high for _, high in reached]}
    stored = set(step("locking", ranges) or ())
    places = {rows.ids[place]: place for place in filled}
    passed: set[str] = set()
    for is_filled, some in _order_heads([*places, *empty], stored, places):
        if is_filled:
            values = _encode(rows, [places[head] for head in some], layout, fences)
        else:
            values = {"given_id": some, "given_version": [fences[head] for head in some]}
        passed |= set(step("heads" if is_filled else "empty heads", values) or ())
    if not passed:
        return 0
    members = [place for place, head in enumerate(heads) if head in passed and rows.ids[place] != head]
    written = sum(rows.ids[place] in passed for place in filled)
    if members:
        written += step("members", _encode(rows, members, layout, fences))
    low, high, limits = map(list, zip(*((*find_bounds(head), fences[head]) for head in passed), strict=True))
    kept = [rows.ids[place] for place in members]
    step("dropping", {"range_low": low, "range_high": high, "range_fence": limits, "kept": kept})
    return written


def _order_heads(heads: Sequence[str], stored: Set[str], filled: Container[str]) -> list[tuple[bool, list[str]]]:
    """Return heads in the runs in which they are written, each with whether its heads have records.

    Filled and empty ones take a statement each. New ones are locked by being written, so that they have to be in the
    order of ids across all statements; stored ones are locked already, and go along with the first run of their kind.
    """
    runs: list[tuple[bool, list[str]]] = []
    for is_filled, some in groupby(sorted(set(heads) - stored), lambda head: head in filled):
        runs.append((is_filled, list(some)))
    for kind in (True, False):
        locked = [head for head in heads if head in stored and (head in filled) == kind]
        first = next((run for is_filled, run in runs if is_filled == kind), None)
        if locked and first is None:
            runs.append((kind, locked))
        elif first is not None:
            first += locked
    return runs


def _encode(rows: Rows, chosen: Sequence[int], layout: Layout, fences: Mapping[str, int]) -> dict[str, Any]:
    part = take_rows(rows, chosen)
    return encode_write(part, layout, [fences[read_member(id_)[0]] for id_ in part.ids])
