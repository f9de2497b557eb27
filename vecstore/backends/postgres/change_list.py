"""The change list: the end of every write, which notes changed ids while a standby follows, and reading the notes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, CTE, BigInteger, ColumnElement, Text, and_, cast, delete, func, select, true
from sqlalchemy.dialects.postgresql import insert as insert_into
from sqlalchemy.types import TypeEngine

from . import generation_guard
from .catalogue_tables import CatalogueTables
from .statements import Statement, compile_statement, enclose_locks, make_parameter, unnest_arrays

_CHANGES: dict[str, TypeEngine[Any]] = {"seq": BigInteger(), "id": Text()}


def count_rows(part: CTE) -> ColumnElement[Any]:
    """Return how many rows a part of a statement has."""
    return select(func.count()).select_from(part).scalar_subquery()


def finish_write(catalogue: CatalogueTables, guard: CTE, changed: CTE, *results: ColumnElement[Any]) -> Statement:
    """Return a whole write: it notes the ids of ``changed``, and answers first how many guards passed.

    Notes are written in the order of ids, which keeps two writers from waiting for each other.
    """
    change = catalogue.changes
    ids = select(generation_guard.GENERATION.label("generation"), changed.c.id).select_from(
        changed.join(guard, guard.c.noting)
    )
    noting = insert_into(change).from_select(["generation", "id"], ids.order_by(changed.c.id.collate("C")))
    # A number may be drawn before its note is waited for. It is new all the same, which is all that a builder asks.
    again = {"seq": noting.excluded.seq}
    replacing = noting.on_conflict_do_update(index_elements=[change.c.generation, change.c.id], set_=again)
    notes = replacing.returning(change.c.id).cte("notes")
    return compile_statement(
        select(count_rows(guard), *results).add_cte(notes), writes=True, settings=generation_guard.SETTINGS
    )


@lru_cache(maxsize=64)
def compile_settling(catalogue: CatalogueTables, *, standby: bool) -> Statement:
    """Forget settled changes and read the next ones.

    A note that a writer has locked is skipped: it is about to change.
    """
    change = catalogue.changes
    arrays = {
        name: cast(make_parameter(f"settled_{name}", ARRAY(each)), ARRAY(each)) for name, each in _CHANGES.items()
    }
    settled = select(unnest_arrays("given", _CHANGES, arrays)).cte("settled")
    same = and_(change.c.id == settled.c.id, change.c.seq == settled.c.seq)
    pointer = generation_guard.select_pointer(catalogue, standby=standby).cte("pointer")
    locking = (
        select(change.c.id)
        .join(settled, same)
        .where(change.c.generation == generation_guard.GENERATION, select(pointer.c.one).exists())
        .order_by(change.c.id)
        .with_for_update(of=change, skip_locked=True)
    )
    free = enclose_locks(locking).cte("free")
    forgotten = delete(change).where(change.c.generation == generation_guard.GENERATION, change.c.id == free.c.id)
    known = select(settled.c.id).where(same).exists()
    rest = (
        select(change.c.seq, change.c.id)
        .where(change.c.generation == generation_guard.GENERATION, ~known)
        .order_by(change.c.seq)
        .limit(make_parameter("limit", BigInteger()))
        .lateral("rest")
    )
    found = select(rest.c.seq, rest.c.id).select_from(pointer.outerjoin(rest, true()))
    return compile_statement(found.add_cte(forgotten.returning(change.c.id).cte("forgotten")), writes=True)


@lru_cache(maxsize=64)
def compile_all_changes(catalogue: CatalogueTables) -> Statement:
    """Read every change of a generation, oldest first."""
    change = catalogue.changes
    noted_ = select(change.c.seq, change.c.id).where(change.c.generation == generation_guard.GENERATION)
    return compile_statement(noted_.order_by(change.c.seq))


@lru_cache(maxsize=64)
def compile_forgetting(catalogue: CatalogueTables) -> Statement:
    """Forget every change of a generation."""
    change = catalogue.changes
    return compile_statement(delete(change).where(change.c.generation == generation_guard.GENERATION), writes=True)
