"""Declaring: keys of the metadata become fields, or fields become undeclared metadata again.

Every value is checked first. Then a new generation is filled beside the active one, as in any rebuild, so a call that
broke off goes on where it was. What is written meanwhile is checked when it is copied.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..backend import Backend, Entry, Generation, Rows
from ..errors import InvalidArgument, InvalidMetadata, MetadataMismatch, SchemaMismatch
from ..fields import Field
from ..lookup import check_settled, find_again
from ..names import check_name
from ..rows.conversion import as_records
from ..rows.metadata import split_columns
from ..schema import Schema
from ..store_embedder import StoreEmbedder
from .metadata_conversion import convert_metadata
from .pace import Pace
from .rebuild import rebuild_as_builder
from .switch import report_lost_generation
from .target import is_same_model, plan_generation

PAGE = 5_000
SHOWN = 10
"""How many ids an error names."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The result of `Database.declare` and `Database.undeclare`.

    Attributes
    ----------
    records : int
        Records in the store.
    values : mapping of str to int
        For each field that was changed, how many records had a value when the values were checked. Empty if the store
        had this schema already.
    seconds : float
    """

    records: int
    values: Mapping[str, int]
    seconds: float


def check_fields(fields: Mapping[str, Field]) -> dict[str, Field]:
    """Return the fields to declare, if they are valid.

    Raises
    ------
    InvalidArgument
    """
    for name in fields if isinstance(fields, Mapping) else ():
        try:
            check_name(name, "Field", respell=False)
        except InvalidArgument as error:
            raise InvalidArgument(
                f"{error} A key with another name cannot become a field; in a store with Schema(dynamic=True) filters "
                "use it as it is."
            ) from error
    declared = dict(Schema(1, fields=fields).fields)
    if not declared:
        raise InvalidArgument('fields is empty. Give for example {"year": fields.Int()}.')
    return declared


def check_names(names: Iterable[str]) -> list[str]:
    """Return the names of fields, each once, if they are valid.

    Raises
    ------
    InvalidArgument
    """
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise InvalidArgument('fields must be a list of names, for example ["year"].')
    found = [check_name(name, "Field") for name in names]
    if not found:
        raise InvalidArgument('fields is empty. Give the names of fields, for example ["year"].')
    return list(dict.fromkeys(found))


def declare(backend: Backend, entry: Entry, fields: Mapping[str, Field], pace: Pace) -> Declared:
    """Make keys of the metadata fields; see `Database.declare`."""

    def plan(schema: Schema) -> Schema:
        for name, field in fields.items():
            if schema.fields.get(name, field) != field:
                raise SchemaMismatch(
                    f"Field {name!r} of store {entry.name!r} is declared as {schema.fields[name]}, not {field}. Call "
                    "undeclare() first."
                )
        return replace(schema, fields={**schema.fields, **fields})

    return _change_fields(backend, entry, frozenset(fields), plan, pace)


def undeclare(backend: Backend, entry: Entry, names: Iterable[str], pace: Pace) -> Declared:
    """Make fields undeclared metadata again; see `Database.undeclare`."""
    given = frozenset(names)

    def plan(schema: Schema) -> Schema:
        return _remove_fields(schema, given)

    return _change_fields(backend, entry, given, plan, pace)


def _change_fields(
    backend: Backend, entry: Entry, names: frozenset[str], plan: Callable[[Schema], Schema], pace: Pace
) -> Declared:
    began = time.monotonic()
    with backend.builder(entry.uid), report_lost_generation(backend, entry):
        entry = find_again(backend, entry)
        check_settled(entry)
        active = entry.active
        wanted = plan_generation(active, plan(active.schema), None)
        if dict(wanted.schema.fields) == dict(active.schema.fields):
            _finish_earlier_call(backend, entry, names)
            return Declared(backend.count(active, None), {}, time.monotonic() - began)
        backend.capabilities.check_schema(wanted.schema)
        values = _check_values(backend, entry, wanted.schema, pace)
        try:
            rebuilt = rebuild_as_builder(backend, entry, wanted, StoreEmbedder(), pace, keep_previous=False)
        except InvalidMetadata:  # a value that was written meanwhile
            if (building := find_again(backend, entry).building) is not None:
                backend.drop(entry.uid, building.id)
            _check_values(backend, entry, wanted.schema, pace)
            raise
    return Declared(rebuilt.records, values, time.monotonic() - began)


def _finish_earlier_call(backend: Backend, entry: Entry, names: frozenset[str]) -> None:
    """Drop what a killed call left: the replaced generation after the switch, an unfinished copy of a call taken back.

    Nothing is lost with it: such a generation differs from the active one in these fields only.
    """
    for generation in (entry.building, entry.previous):
        if generation is not None and generation.remote is None and _differs_in_fields(entry.active, generation, names):
            backend.drop(entry.uid, generation.id)


def _differs_in_fields(one: Generation, other: Generation, names: frozenset[str]) -> bool:
    schemas = [_remove_fields(each.schema, names) for each in (one, other)]
    is_same = not schemas[0].differences(schemas[1]) and schemas[0].index == schemas[1].index
    return is_same and bool(one.schema.differences(other.schema)) and is_same_model(one, other)


def _remove_fields(schema: Schema, names: frozenset[str]) -> Schema:
    return replace(schema, fields={name: each for name, each in schema.fields.items() if name not in names})


def _check_values(backend: Backend, entry: Entry, schema: Schema, pace: Pace) -> dict[str, int]:
    """Count the values under the keys that change, and refuse those that do not fit the schema.

    Raises
    ------
    MetadataMismatch
    """
    source = entry.active
    changed = sorted({*schema.fields} ^ {*source.schema.fields})
    counts, unfit = dict.fromkeys(changed, 0), dict[str, str]()
    total, done, after = backend.count(source, None), 0, None
    while len(rows := backend.page(source, None, after, PAGE, frozenset({"metadata"}))):
        done, after = done + len(rows), rows.ids[-1]
        unfit |= _find_unfit(rows, source.schema, schema, counts)
        if len(unfit) >= SHOWN:
            break
        pace.report("checking", done, max(done, total))
    if unfit:
        shown = list(unfit)[:SHOWN]
        raise MetadataMismatch(entry.name, shown, unfit[shown[0]], more=len(unfit) >= SHOWN)
    return counts


def _find_unfit(rows: Rows, source: Schema, target: Schema, counts: dict[str, int]) -> dict[str, str]:
    """Return the ids of rows whose metadata does not fit the target, with the reasons; add to the counts of values."""
    metadata = [record.metadata for record in as_records(rows, source, frozenset({"metadata"}))]
    for name in counts:
        counts[name] += sum(name in each for each in metadata)
    try:
        _convert(rows.ids, metadata, target)
    except InvalidMetadata:
        found = ((id_, _find_reason(id_, each, target)) for id_, each in zip(rows.ids, metadata, strict=True))
        return {id_: reason for id_, reason in found if reason}
    return {}


def _find_reason(id_: str, metadata: Mapping[str, Any], target: Schema) -> str:
    try:
        _convert([id_], [metadata], target)
    except InvalidMetadata as error:
        return str(error)
    return ""


def _convert(ids: Iterable[str], metadata: Iterable[Mapping[str, Any]], target: Schema) -> None:
    """Convert metadata as the copy will do.

    Raises
    ------
    InvalidMetadata
    """
    ids = list(ids)
    converted = [convert_metadata(each, target, id_) for id_, each in zip(ids, metadata, strict=True)]
    split_columns(converted, target.fields, [f"Record {id_!a}" for id_ in ids])
