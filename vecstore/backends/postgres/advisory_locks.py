"""Advisory locks of the server: of builders, and the keys of all, also of those that a switch keeps writers out by.

A transaction holds them, and the server releases them when it ends or its connection does. See `generation_guard`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType

from vecstore.errors import StoreLocked

from .client import Client
from .statements import Statement

_TRY_LOCK = Statement("SELECT pg_try_advisory_xact_lock(%(lock)s)", MappingProxyType({}))
_BUILDER = 1
"""Distinguishes the lock of a generation's builder from that of its writers."""


def make_lock_key(name: str) -> int:
    """Return the key of a store's or generation's advisory lock, from the random digits of its id."""
    return int(name[:16], 16) - (1 << 63)


def make_builder_key(generation: str) -> int:
    """Return the key of the lock of a generation's builder."""
    return make_lock_key(generation) ^ _BUILDER


@contextmanager
def hold_lock(client: Client, lock: int, refusal: str) -> Iterator[None]:
    """Hold a lock in an open transaction; it is released with the connection, however that ends.

    Raises
    ------
    StoreLocked
        With ``refusal``, where another connection holds it.
    """
    with client.transaction() as transaction:
        [(held,)] = transaction.run(_TRY_LOCK, {"lock": lock})
        if not held:
            raise StoreLocked(refusal)
        transaction.rest()
        yield
