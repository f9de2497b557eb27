"""The target of a rebuild: the generation that it has to create, or the one that an interrupted rebuild left."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from ..backend import Backend, Entry, Generation
from ..embedders.identity import Identity
from ..errors import InvalidArgument, InvalidVector
from ..lookup import create_beside, find_again
from ..schema import Schema

_SHOWN = 10
"""How many ids an error names."""


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
    wanted = Generation(uuid.uuid4().hex, schema, identity, standby=True)
    check_texts_suffice(active, wanted)
    return wanted


def check_texts_suffice(source: Generation, target: Generation) -> None:
    """Refuse to make vectors again where they came, or are to come, from items that are not stored.

    Raises
    ------
    InvalidArgument
    """
    if is_same_model(source, target):
        return
    for generation in (source, target):
        identity = None if generation.identity is None else Identity.from_json(generation.identity)
        if identity is not None and identity.modality != "text":
            raise InvalidArgument(
                f"Vectors are made again from the stored texts, but {identity.name} makes them from "
                f"{identity.modality} items, which are not stored. Create a new store with the new embedder and "
                "add the items to it."
            )


def _take_embedder_dim(schema: Schema, active: Generation, dim: int) -> Schema:
    if schema is active.schema:
        return schema.with_dim(dim)
    raise InvalidArgument(f"The schema has dim={schema.dim}, but the embedder makes {dim} dimensions. Leave dim out.")


def is_unchanged(active: Generation, wanted: Generation) -> bool:
    """Say whether a rebuild has nothing to do: the store has this schema, this index and this model."""
    mine, theirs = active.schema, wanted.schema
    same = not mine.differences(theirs) and (mine.index, mine.partitions) == (theirs.index, theirs.partitions)
    return same and is_same_model(active, wanted)


def check_vectors(backend: Backend, entry: Entry, schema: Schema) -> None:
    """Refuse to require vectors of a store in which a record has none.

    Raises
    ------
    InvalidVector
    """
    if schema.has_optional_vectors or not (lacking := backend.find_without_vector(entry.active, _SHOWN)):
        return
    named = ", ".join(f"{id_!a}" for id_ in lacking)
    more = f"the first {_SHOWN} are {named}" if len(lacking) == _SHOWN else f"these: {named}"
    raise InvalidVector(
        f"Store {entry.name!r} has records without a vector, {more}. Give them one with update(), or delete them, or "
        "keep vectors='optional'. Nothing was changed."
    )


def prepare_target(backend: Backend, entry: Entry, wanted: Generation) -> Entry:
    """Return the entry with a ``building`` generation, either that of an interrupted rebuild or a new one."""
    entry = find_again(backend, entry)
    building = entry.building
    if building and _has_same_records(building, wanted):
        if building.schema.index == wanted.schema.index:
            return entry
        backend.amend(replace(building, schema=wanted.schema))
        return find_again(backend, entry)
    if building:
        backend.drop(entry.uid, building.id)
    return create_beside(backend, entry, wanted)


def _has_same_records(building: Generation, wanted: Generation) -> bool:
    """Say whether what an interrupted rebuild copied belongs into the wanted generation, as it lies there."""
    mine, theirs = building.schema, wanted.schema
    return not mine.differences(theirs) and mine.partitions == theirs.partitions and is_same_model(building, wanted)


def is_same_model(one: Generation, other: Generation) -> bool:
    """Return whether the vectors of one generation fit the other, as far as their embedders are known."""
    if one.schema.dim != other.schema.dim:
        return False
    if one.identity is None or other.identity is None:
        return one.identity is other.identity
    return Identity.from_json(one.identity).matches(Identity.from_json(other.identity), other.schema.metric)
