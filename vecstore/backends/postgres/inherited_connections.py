"""Connections of an application that were opened before a fork: recognised, refused, and never used.

Nothing is sent on them, not even by SQLAlchemy's pre-ping, so a pool is examined before a connection is checked out.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Iterator
from weakref import WeakSet

import psycopg
from sqlalchemy import Connection
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, Pool
from sqlalchemy.util.queue import QueueCommon

from vecstore import inherited_sockets
from vecstore.errors import ForkedStore

ADVICE = "In the child process call engine.dispose(close=False), then vecstore.connect(engine)."
_HELD = "holds connections that were opened before fork() and belong to the parent process."

_used: WeakSet[Pool] = WeakSet()
"""Pools of applications that this process has used."""
_parents: WeakSet[Pool] = WeakSet()
"""Those that an ancestor has used; at the fork, its threads may have held their connections and locks."""


def check_pool(pool: Pool) -> None:
    """Refuse an application's pool whose connections were opened before a fork.

    Raises
    ------
    ForkedStore
    """
    if isinstance(pool, NullPool):
        return
    if pool in _parents or any(map(_is_inherited, _list_connections(pool))):
        raise ForkedStore(f"The Engine's pool {_HELD} {ADVICE}")
    _used.add(pool)


def check_caller(caller: Connection | Session) -> None:
    """Refuse an application's connection or session that was opened before a fork, or that would check out such a one.

    Raises
    ------
    ForkedStore
    """
    if not inherited_sockets.has_any():
        return
    if isinstance(caller, Session):
        check_pool(caller.get_bind().engine.pool)
        caller = caller.connection()
    elif caller.invalidated:
        check_pool(caller.engine.pool)
    driver = caller.connection.driver_connection
    if isinstance(driver, psycopg.Connection) and _is_inherited(driver):
        raise ForkedStore(
            "The Connection or Session was opened before fork() and belongs to the parent process. "
            "In the child process call engine.dispose(close=False), then open another one."
        )


def is_parents(connection: psycopg.Connection) -> bool:
    """Say whether a connection that has been checked out was opened before a fork."""
    return inherited_sockets.has_any() and _is_inherited(connection)


def _is_inherited(connection: psycopg.Connection) -> bool:
    return not connection.closed and inherited_sockets.is_inherited(connection.fileno())


def _list_connections(pool: Pool) -> Iterator[psycopg.Connection]:
    """Yield the idle connections of a pool of any class."""
    if not inherited_sockets.has_any():
        return
    seen: set[int] = set()
    left: list[object] = [vars(pool)]
    while left:
        each = left.pop()
        if isinstance(each, ConnectionPoolEntry):
            driver = each.driver_connection
            if isinstance(driver, psycopg.Connection):
                yield driver
        elif id(each) not in seen and isinstance(each, dict | list | tuple | set | deque | QueueCommon):
            seen.add(id(each))
            left += gc.get_referents(each)


def _start_over_in_child() -> None:
    global _used, _parents
    _parents, _used = WeakSet([*_parents, *_used]), WeakSet()


os.register_at_fork(after_in_child=_start_over_in_child)
