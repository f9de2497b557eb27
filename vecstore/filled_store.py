"""A new store that gets its name when it holds its first records, so that a failure leaves nothing."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import VecstoreError

if TYPE_CHECKING:
    from .database import Database
    from .embedders.base import Embedder
    from .embedders.identity import Identity
    from .schema import Schema
    from .store import VectorStore


def create_filled(
    database: Database,
    name: str,
    schema: Schema,
    fill: Callable[[VectorStore], object],
    *,
    embedder: Embedder[Any] | None = None,
    identity: Identity | None = None,
) -> None:
    """Create a store under a name that nobody knows, fill it, and rename it.

    What is removed after a failure has never been seen by another process.

    Raises
    ------
    StoreExists
        Another process created a store of that name meanwhile.
    """
    unfinished = f"unfinished_{uuid.uuid4().hex[:16]}"
    try:
        fill(database.create(unfinished, schema, embedder=embedder, identity=identity))
        database.rename(unfinished, name)
    except BaseException:
        _discard(database, unfinished)
        raise


def _discard(database: Database, unfinished: str) -> None:
    try:
        if unfinished in database.names():
            database.drop(unfinished)
    except VecstoreError as error:
        warnings.warn(
            f"Store {unfinished!r} could not be removed: {error} Remove it with `vecstore drop`.", stacklevel=3
        )
