"""The store that a load fills: its name is taken, nobody else may use it, and what a killed load left is removed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..backend import Backend, Entry, Generation, Remote
from ..database import Database
from ..errors import (
    InvalidArgument,
    SchemaMismatch,
    StoreExists,
    StoreLocked,
    StoreNotFound,
    Unsupported,
    VecstoreError,
)
from ..logs import log_step
from ..lookup import check_here
from ..names import check_name
from ..new_store import fill_dim
from ..schema import Schema
from .parts import Ticket


def check_new(database: Database, name: str, schema: Schema, dim: int | None) -> Schema:
    """Return the schema with its dimension, if the store can be made.

    Raises
    ------
    InvalidArgument, DimensionMismatch, Unsupported, StoreExists, StoreMoved
    """
    check_name(name, "Store")
    if not isinstance(schema, Schema):
        raise InvalidArgument(f"schema must be a Schema, not {type(schema).__name__}.")
    capabilities = database.capabilities
    if not capabilities.shared:
        raise Unsupported("loading by several processes", capabilities.backend, "Load into files, PostgreSQL or Redis.")
    capabilities.check_writable()
    schema = fill_dim(schema, dim)
    capabilities.check_schema(schema)
    return schema


def _remove_left(backend: Backend, name: str) -> None:
    """Remove what a load of that name has left whose process was killed; refuse any other store.

    Raises
    ------
    StoreExists, StoreMoved
    StoreLocked
        Another load or a copy is filling it.
    """
    try:
        found = backend.find(name=name)
    except StoreNotFound:
        return
    if found.active.remote is None or found.active.remote.kind != "load":
        check_here(found)
        kept = found.previous
        if kept is not None and kept.remote is not None and kept.remote.kind == "load":  # killed right after its switch
            backend.drop(found.uid, kept.id)
        raise StoreExists(
            f"There is already a store {name!r}. Load under another name, or add to it with vecstore.bulk.write_batch."
        )
    with backend.builder(found.uid):  # the other load's, as long as it lives
        backend.drop(found.uid)


def take_name(backend: Backend, name: str, schema: Schema, identity: Mapping[str, Any] | None) -> Entry:
    """Take the name."""
    _remove_left(backend, name)
    move = uuid.uuid4().hex
    origin = Remote(backend.capabilities.backend, move, name, move, "load")
    return backend.create(name, Generation(uuid.uuid4().hex, schema, identity, remote=origin))


def find_begun(backend: Backend, ticket: Ticket, schema: Schema) -> Entry:
    """Return the entry of a load that is to go on.

    Raises
    ------
    StoreNotFound, SchemaMismatch
    """
    found = backend.find(uid=ticket.uid)
    if found.building is None or found.building.id != ticket.generation or not found.is_incoming:
        raise StoreNotFound(ticket.name)
    begun = found.building.schema
    differences = begun.differences(schema)
    # These change no record, but what was asked for is to be there at the end.
    differences += [
        f"{what} is {mine}, not {theirs}"
        for what, mine, theirs in (
            ("index", begun.index, schema.index),
            ("number of partitions", begun.partitions, schema.partitions),
        )
        if mine != theirs
    ]
    if differences:
        raise SchemaMismatch(
            f"The load of store {ticket.name!r} was begun with a different schema: {'; '.join(differences)}."
        )
    return found


def attach(backend: Backend, coming: Entry) -> Entry:
    """Return the entry with the generation that is filled, which a load that goes on has already."""
    if coming.building is not None:
        return coming
    try:
        return backend.create(coming.name, replace(coming.active, id=uuid.uuid4().hex, standby=True, remote=None))
    except StoreNotFound:
        raise StoreLocked(f"Another load of store {coming.name!r} began at the same time.") from None


def give_up(backend: Backend, coming: Entry) -> None:
    """Remove a load, unless its switch has happened; what cannot be removed now, the next load of that name removes."""
    try:
        found = backend.find(uid=coming.uid)
        if found.is_incoming:
            backend.drop(coming.uid)
    except StoreNotFound:
        return
    except VecstoreError as error:  # of a full disk, or a server that is gone: what ended the load is to be told
        log_step("load", "what the load of store %s wrote is still there: %s", coming.name, type(error).__name__)
