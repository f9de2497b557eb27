"""The first part of every statement: the check that the generation has the expected role.

A write takes a shared advisory lock before it reads the store's row, which it locks FOR SHARE as well. The row lock
alone would be correct, but new sharers of a row lock overtake a switch that waits for it, without end under load;
advisory locks are granted in order.

Under READ COMMITTED a statement that waited for a switch sees the row as the switch left it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, BigInteger, Boolean, Select, Text, case, cast, false, func, literal_column, select, true

from .catalogue_tables import CatalogueTables
from .statements import Statement, compile_statement, make_parameter

GENERATION = make_parameter("generation", Text())
SETTINGS = ("lock_timeout",)
"""Settings that a write's guard changes."""


def select_pointer(catalogue: CatalogueTables, *, standby: bool) -> Select[Any]:
    """Return one row if the generation has the expected role, otherwise none."""
    store = catalogue.stores
    role = store.c.standby if standby else store.c.active
    return select(literal_column("1").label("one")).where(role == GENERATION)


def compile_role_check(catalogue: CatalogueTables) -> Statement:
    """Return a row if the generation has the role that the parameter ``standby`` says."""
    store, standby = catalogue.stores, make_parameter("standby", Boolean())
    role = case((cast(standby, Boolean()), store.c.standby), else_=store.c.active)
    return compile_statement(select(literal_column("1").label("one")).where(role == GENERATION))


def guard_write(catalogue: CatalogueTables, *, standby: bool) -> CTE:
    """Return the guard of a write: no row, or one that says whether changes are noted."""
    return (guard_standby_write if standby else guard_active_write)(catalogue).cte("guard")


def guard_standby_write(catalogue: CatalogueTables) -> Select[Any]:
    """Return the guard of a write to a standby generation, as a separate statement."""
    guard = select(false().label("noting")).where(catalogue.stores.c.standby == GENERATION)
    return guard.with_for_update(key_share=True, read=True)


def guard_active_write(catalogue: CatalogueTables) -> Select[Any]:
    """Return the guard of a write to an active generation, as a separate statement."""
    store = catalogue.stores
    locked = select(
        func.set_config("lock_timeout", make_parameter("lock_timeout", Text()), true()).label("waits"),
        func.pg_advisory_xact_lock_shared(make_parameter("lock", BigInteger())).label("held"),
    )
    # OFFSET keeps the planner from merging the lock into the query, where it might be taken after the row.
    held = locked.offset(literal_column("0")).subquery("held")
    guard = select(store.c.standby.is_not(None).label("noting")).select_from(held.join(store, true()))
    return guard.where(store.c.active == GENERATION).with_for_update(read=True, of=store)
