"""A new store that gets its name when it holds its first records, so that a failure leaves nothing.

A process that is killed leaves a store whose name begins with ``unfinished_``. The next call in that Database removes
it: a process that fills such a store holds it as its builder for as long as it lives.
"""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from .backend import Superseded
from .errors import BackendUnavailable, StoreLocked, StoreNotFound, VecstoreError
from .logs import log_step

if TYPE_CHECKING:
    from .database import Database
    from .embedders.base import Embedder
    from .embedders.identity import Identity
    from .progress import Progress
    from .schema import Schema
    from .store import VectorStore

_UNFINISHED = re.compile(r"unfinished_[0-9a-f]{16}")
_ATTEMPTS = 3


def create_filled(
    database: Database,
    name: str,
    schema: Schema,
    fill: Callable[[VectorStore], object],
    *,
    embedder: Embedder[Any] | None = None,
    identity: Identity | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Create a store under a name that nobody knows, fill it, and rename it.

    What is removed after a failure has never been seen by another process. The index is built under the new name;
    ``on_progress`` is told of it.

    Raises
    ------
    StoreExists
        Another process created a store of that name meanwhile.
    BackendUnavailable
        The lock was lost with its connection, and another process took the store for left behind.
    """
    remove_left(database)
    for attempt in range(_ATTEMPTS):
        unfinished = f"unfinished_{uuid.uuid4().hex[:16]}"
        is_held = False
        try:
            store = database.create(unfinished, schema, embedder=embedder, identity=identity)
            with store.loading(on_progress), ExitStack() as held:
                _hold(database, unfinished, held)
                is_held = True
                fill(store)
                database.rename(unfinished, name)
                with suppress(VecstoreError):  # a connection that held no more than the lock may be lost
                    held.close()
            return
        except BaseException as error:
            was_there = _discard(database, unfinished)
            is_gone = isinstance(error, StoreNotFound | Superseded)
            if is_held and is_gone and not was_there:
                raise BackendUnavailable(
                    f"Store {name!r} was not made: what was filled for it was removed, because the connection that "
                    "held it was lost. Repeat the call."
                ) from error
            # Somebody who removes what was left may take a store for that before it is held.
            if is_held or attempt == _ATTEMPTS - 1 or not (is_gone or isinstance(error, StoreLocked)):
                raise


def remove_left(database: Database) -> None:
    """Remove what killed processes have left of new stores. What cannot be removed stays, for the next call."""
    with suppress(VecstoreError):
        for name in database.names():
            if _UNFINISHED.fullmatch(name):
                _remove(database, name)


def _remove(database: Database, name: str) -> None:
    with suppress(VecstoreError), ExitStack() as held:  # somebody is filling it, or it has its name by now
        uid = _hold(database, name, held)
        if database._backend.find(uid=uid).name == name:
            database._backend.drop(uid)
            log_step("upkeep", "store %s removed, which a killed process left unfinished", name)


def _hold(database: Database, name: str, held: ExitStack) -> str:
    """Hold a store as its builder until the end, and return its uid.

    Raises
    ------
    StoreLocked, StoreNotFound
    """
    uid = database._backend.find(name=name).uid
    held.enter_context(database._backend.builder(uid))
    database._backend.find(uid=uid)  # whoever held it before may have removed it
    return uid


def _discard(database: Database, unfinished: str) -> bool:
    """Remove a store, and return False where nobody has one of that name."""
    try:
        if unfinished not in database.names():
            return False
        database.drop(unfinished)
    except VecstoreError as error:
        warnings.warn(
            f"Store {unfinished!r} could not be removed: {error} The next new store removes it, or `vecstore drop`.",
            stacklevel=3,
        )
    return True
