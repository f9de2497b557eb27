"""The first part of every statement: whether the generation still is what the caller believes it to be.

A write holds an advisory lock, shared, before it looks at the store's row, which it locks for sharing too. The
row alone would do for correctness, but new readers of a row lock overtake a switch that waits for it, for
ever under load; whoever waits for an advisory lock is overtaken by nobody.

Under READ COMMITTED a statement that waited for a switch sees the row as the switch left it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, BigInteger, Select, Text, false, func, literal_column, select, true

from .catalogue_tables import CatalogueTables
from .statements import make_parameter

GENERATION = make_parameter("generation", Text())
SETTINGS = ("lock_timeout",)
"""What a gate sets."""


def make_lock_key(name: str) -> int:
    """Return the number of a store's or generation's advisory lock, from the random digits of its id."""
    return int(name[:16], 16) - (1 << 63)


def select_pointer(catalogue: CatalogueTables, *, standby: bool) -> Select[Any]:
    """Return one row where the generation has the role that it should have, and none where it has not."""
    store = catalogue.stores
    role = store.c.standby if standby else store.c.active
    return select(literal_column("1").label("one")).where(role == GENERATION)


def guard_write(catalogue: CatalogueTables, *, standby: bool) -> CTE:
    """Return the gate of a write: no row, or one that says whether changes are noted."""
    store = catalogue.stores
    if not standby:
        return guard_active_write(catalogue).cte("gate")
    gate = select(false().label("noting")).where(store.c.standby == GENERATION)
    return gate.with_for_update(key_share=True, read=True).cte("gate")


def guard_active_write(catalogue: CatalogueTables) -> Select[Any]:
    """Return the gate of a write to an active generation, for a statement of its own."""
    store = catalogue.stores
    locked = select(
        func.set_config("lock_timeout", make_parameter("lock_timeout", Text()), true()).label("waits"),
        func.pg_advisory_xact_lock_shared(make_parameter("lock", BigInteger())).label("held"),
    )
    # OFFSET keeps the planner from merging the lock into the query, where it might come after the row.
    held = locked.offset(literal_column("0")).subquery("held")
    gate = select(store.c.standby.is_not(None).label("noting")).select_from(held.join(store, true()))
    return gate.where(store.c.active == GENERATION).with_for_update(read=True, of=store)
