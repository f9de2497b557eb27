"""Locks of builders: advisory locks of the server, which it releases when their connection ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType

from vecstore.errors import StoreLocked

from .pool import Pool
from .statements import Statement

_TRY_LOCK = Statement("SELECT pg_try_advisory_xact_lock(%(lock)s)", MappingProxyType({}))


@contextmanager
def hold_lock(pool: Pool, lock: int, refusal: str) -> Iterator[None]:
    """Hold an advisory lock in an open transaction; it is released with the connection, however that ends.

    Raises
    ------
    StoreLocked
        With ``refusal``, where another connection holds it.
    """
    with pool.transaction() as transaction:
        [(held,)] = transaction.run(_TRY_LOCK, {"lock": lock})
        if not held:
            raise StoreLocked(refusal)
        transaction.rest()
        yield
