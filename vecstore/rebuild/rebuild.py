"""Rebuild: fill a new generation beside the active one while writes continue, then switch to it.

The steps are create, backfill, catch up, index, verify and switch; `vecstore.rebuild.copy` copies and verifies.
The index is built and calibrated before the switch, so searches are fast right after it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from ..backend import Backend, Entry, Generation, Superseded
from ..calibration.calibrate import calibrate
from ..embedders.identity import Identity
from ..embedding import StoreEmbedder
from ..errors import BackendUnavailable, InvalidArgument, StoreCorrupt, StoreLocked, StoreNotFound
from ..lookup import find_again
from ..schema import Schema
from .copy import Copy, Pace, is_same_model


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of a rebuild.

    Attributes
    ----------
    records : int
        Records in the store after the switch.
    copied : int
        Records copied by the backfill, without those that an interrupted rebuild had copied before.
    caught_up : int
        Records copied again because they changed during the rebuild.
    embedded : bool
        Whether the texts were embedded again.
    overlap : float
        Share of the 10 nearest neighbours of up to 50 sampled records that are the same before and after.
    seconds : float
    """

    records: int
    copied: int
    caught_up: int
    embedded: bool
    overlap: float
    seconds: float


def rebuild(
    backend: Backend, entry: Entry, wanted: Generation, embedder: StoreEmbedder, pace: Pace, *, keep_previous: bool
) -> Rebuilt:
    """Fill ``wanted`` beside the active generation and switch to it; see `Database.rebuild`."""
    began = time.monotonic()
    with backend.builder(entry.uid), _report_lost_generation(backend, entry):
        entry = _prepare_target(backend, entry, wanted)
        if entry.building is None:
            raise InvalidArgument(f"Store {entry.name!r} has no generation under construction.")
        copy = Copy(backend, entry.active, entry.building, embedder, entry.name)
        try:
            copy.backfill(pace)
            copy.catch_up()
            backend.build_index(entry.building)
            calibrate(backend, entry, entry.building)
            return _switch_to_copy(backend, entry, copy, began, keep_previous=keep_previous)
        except StoreCorrupt:
            backend.drop(entry.uid, entry.building.id)  # or the next rebuild would resume the same bad copy
            raise


def rollback(backend: Backend, entry: Entry, embedder: StoreEmbedder) -> Rebuilt:
    """Switch back to the generation that the last rebuild replaced, including all later writes."""
    began = time.monotonic()
    with backend.builder(entry.uid), _report_lost_generation(backend, entry):
        entry = find_again(backend, entry)
        if entry.previous is None:
            raise InvalidArgument(f"Store {entry.name!r} has no previous generation to go back to.")
        copy = Copy(backend, entry.active, entry.previous, embedder, entry.name)
        copy.catch_up()
        with suppress(StoreLocked):  # another process does the upkeep, before or after the switch
            if backend.tend(entry.previous):
                calibrate(backend, entry, entry.previous)
        return _switch_to_copy(backend, entry, copy, began, keep_previous=True)


def _switch_to_copy(backend: Backend, entry: Entry, copy: Copy, began: float, *, keep_previous: bool) -> Rebuilt:
    copy.catch_up()
    copy.compare()
    overlap = copy.measure_overlap()
    copy.catch_up()  # the comparison took time, and the changes left for the switch block writers
    if entry.standby is None:
        raise TypeError("a copy goes to the standby generation")
    entry = backend.switch(entry.uid, entry.standby.id, copy.drain)
    if entry.previous and not keep_previous:
        backend.drop(entry.uid, entry.previous.id)
    records = backend.count(entry.active, None)
    return Rebuilt(records, copy.copied, copy.caught_up, copy.embeds, overlap, time.monotonic() - began)


@contextmanager
def _report_lost_generation(backend: Backend, entry: Entry) -> Iterator[None]:
    """Turn the loss of a generation during the copy into an error that a user understands.

    Raises
    ------
    StoreNotFound
    """
    try:
        yield
    except (Superseded, StoreNotFound) as error:
        find_again(backend, entry)
        raise BackendUnavailable(f"Store {entry.name!r} was changed by another rebuild. Try again.") from error


def plan_generation(active: Generation, schema: Schema | None, embedder: Any) -> Generation:
    """Return the generation that a rebuild has to create.

    Raises
    ------
    InvalidArgument
        The dimension changes, but no embedder is given to make new vectors.
    """
    schema = active.schema if schema is None else schema
    if not isinstance(schema, Schema):
        raise InvalidArgument(f"schema must be a Schema, not {type(schema).__name__}.")
    identity = active.identity
    if embedder is not None:
        identity = Identity.of(embedder).to_json()
        schema = schema.with_dim(embedder.dim) if schema.dim is None else schema
        if schema.dim != embedder.dim:
            schema = _take_embedder_dim(schema, active, embedder.dim)
    elif schema.dim is None:
        schema = schema.with_dim(active.schema.width)
    if embedder is None and schema.dim != active.schema.dim:
        raise InvalidArgument(
            f"The store's vectors have {active.schema.dim} dimensions, not {schema.dim}. "
            "Give embedder=… to embed the texts again."
        )
    return Generation(uuid.uuid4().hex, schema, identity, standby=True)


def _take_embedder_dim(schema: Schema, active: Generation, dim: int) -> Schema:
    if schema is active.schema:
        return schema.with_dim(dim)
    raise InvalidArgument(f"The schema has dim={schema.dim}, but the embedder makes {dim} dimensions. Leave dim out.")


def _prepare_target(backend: Backend, entry: Entry, wanted: Generation) -> Entry:
    """Return the entry with a ``building`` generation, either an interrupted one or a new one."""
    entry = find_again(backend, entry)
    building = entry.building
    if building and not building.schema.differences(wanted.schema) and is_same_model(building, wanted):
        if building.schema.index == wanted.schema.index:
            return entry
        backend.amend(replace(building, schema=wanted.schema))
        return find_again(backend, entry)
    if entry.standby:
        backend.drop(entry.uid, entry.standby.id)
    return backend.create(entry.name, wanted)
