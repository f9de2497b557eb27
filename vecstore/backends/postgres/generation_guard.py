"""The first part of every statement: the check that the generation has the expected role.

A write takes a shared advisory lock before it reads the store's row, which it locks FOR SHARE as well. The row lock
alone would be correct, but new sharers of a row lock overtake a switch that waits for it, without end under load;
advisory locks are granted in order. Both are taken by statements that read the store's row: Citus runs these on the
server that has the row, and anything else where the client is connected.

Under READ COMMITTED a statement that waited for a switch sees the row as the switch left it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Select,
    Text,
    case,
    cast,
    false,
    func,
    literal_column,
    null,
    select,
    true,
)

from .catalogue_tables import CatalogueTables
from .statements import Statement, compile_statement, make_parameter

GENERATION = make_parameter("generation", Text())
_LOCK = make_parameter("lock", BigInteger())
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
    # The row is locked after all conditions. CASE keeps these two in their order.
    held = case(
        (_limit_waiting().is_(null()), false()),
        else_=cast(func.pg_advisory_xact_lock_shared(_LOCK), Text()).is_not(null()),
    )
    guard = select(store.c.standby.is_not(None).label("noting")).where(store.c.active == GENERATION, held)
    return guard.with_for_update(read=True)


@lru_cache(maxsize=64)
def compile_exclusion(catalogue: CatalogueTables) -> Statement:
    """Wait until no write to an active generation is under way, and keep later ones waiting until the transaction ends.

    A generation that is active no more is passed over.
    """
    alone = select(_limit_waiting().label("waits"), func.pg_advisory_xact_lock(_LOCK).label("held"))
    return compile_statement(alone.where(catalogue.stores.c.active == GENERATION))


def _limit_waiting() -> ColumnElement[str]:
    return func.set_config("lock_timeout", make_parameter("lock_timeout", Text()), true())
