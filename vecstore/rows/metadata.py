"""Metadata, split into declared fields and the undeclared rest, and joined again.

The undeclared rest is stored as one JSON text. Every backend therefore returns exactly what was written:
numbers of any size, nested values and the order of keys.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..errors import InvalidMetadata
from ..fields import MAX_INT, MAX_KEYWORD_BYTES, Bool, Field, Int, Keyword, Stored, unwrap
from .missing import name_missing
from .replacements import MISSING, suggest_json
from .strings import are_storable, find_fault, to_plain

MAX_BYTES = 1 << 20
MAX_DEPTH = 64

NO_EXTRA = "{}"

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False).encode


def split_columns(
    metadata: Sequence[Mapping[str, Any]], fields: Mapping[str, Field], owners: Sequence[str]
) -> tuple[dict[str, list[Stored | None]], list[str]]:
    """Return the declared fields of records as columns, and the rest of each record as JSON text.

    Raises
    ------
    InvalidMetadata
    """
    found = _take_plain_columns(metadata, fields)
    if found is not None:
        return found, [NO_EXTRA] * len(metadata)
    found, extras = {name: [None] * len(metadata) for name in fields}, []
    for number, (each, owner) in enumerate(zip(metadata, owners, strict=True)):
        declared, extra = split(each, fields, owner)
        for key, value in declared.items():
            found[key][number] = value
        extras.append(dump(extra, owner))
    return found, extras


def _take_plain_columns(
    metadata: Sequence[Mapping[str, Any]], fields: Mapping[str, Field]
) -> dict[str, list[Stored | None]] | None:
    """Return declared fields as columns if there are no other keys and every value is in stored form, else None."""
    if set(map(type, metadata)) != {dict}:
        return None
    found: dict[str, list[Stored | None]] = {}
    known = 0
    for name, field in fields.items():
        found[name] = [each.get(name) for each in metadata]
        present = [value for value in found[name] if value is not None]
        is_stored = _STORED.get(type(field))
        if present and not (is_stored and is_stored(present)):
            return None
        known += len(present)
    return found if known == sum(map(len, metadata)) else None


def _are_ints(values: Sequence[Any]) -> bool:
    return set(map(type, values)) == {int} and min(values) >= -MAX_INT and max(values) <= MAX_INT


_STORED: Mapping[type[Field], Callable[[Sequence[Any]], bool]] = MappingProxyType(
    {
        Keyword: lambda values: are_storable(values, 0, MAX_KEYWORD_BYTES),
        Int: _are_ints,
        Bool: lambda values: set(map(type, values)) == {bool},
    }
)
"""Quick checks that all values are in stored form. False means that each value has to be checked."""


def split(
    metadata: Mapping[str, Any], fields: Mapping[str, Field], owner: str
) -> tuple[dict[str, Stored | None], dict[str, Any]]:
    """Split metadata into the stored forms of declared fields and the plain JSON values of all other keys.

    A top-level None means that the value is missing. It stays None in the result, and `dump` leaves it out.
    Error messages call the record ``owner``.

    Raises
    ------
    InvalidMetadata
    """
    if type(metadata) is not dict and not isinstance(metadata, Mapping):
        raise InvalidMetadata(
            f"{owner}: metadata must be a dict such as {{'year': 2024}}, not {type(metadata).__name__}."
        )
    declared: dict[str, Stored | None] = {}
    extra: dict[str, Any] = {}
    for key, value in metadata.items():
        try:
            if key in fields:
                declared[key] = None if value is None else fields[key].encode(value)
            else:
                extra[check_key(key)] = _to_json_value(value, 1)
        except ValueError as error:
            shown = f" {key[:60]!a}" if isinstance(key, str) else ""
            raise InvalidMetadata(f"{owner}: metadata{shown} {error}.") from error
    return declared, extra


def dump(extra: Mapping[str, Any], owner: str) -> str:
    """Return undeclared metadata as JSON text.

    Raises
    ------
    InvalidMetadata
    """
    if not extra:
        return NO_EXTRA
    try:
        text = _encode({key: value for key, value in extra.items() if value is not None})
    except ValueError as error:  # an int with more digits than Python converts
        raise InvalidMetadata(
            f"{owner}: metadata contains a number that is too long for JSON text. Give str(number)."
        ) from error
    check_size(text, owner)
    return text


def dump_value(value: Any) -> str:
    """Return one undeclared value as JSON text; raise ``ValueError`` with the reason if it is not JSON."""
    plain = _to_json_value(value, 1)
    try:
        return _encode(plain)
    except ValueError as error:  # an int with more digits than Python converts
        raise ValueError("contains a number that is too long for JSON text; give str(number)") from error


def check_size(text: str, owner: str) -> None:
    """Refuse undeclared metadata that is too large as JSON text.

    Raises
    ------
    InvalidMetadata
    """
    if len(text) > MAX_BYTES or len(text.encode()) > MAX_BYTES:
        raise InvalidMetadata(
            f"{owner}: metadata has more than {MAX_BYTES:,} bytes as JSON. Keep large values elsewhere."
        )


def dump_each(extra: Mapping[str, Any], owner: str) -> dict[str, str | None]:
    """Return each undeclared value as a separate JSON text; None stays None. See `dump`."""
    dump(extra, owner)
    return {key: None if value is None else _encode(value) for key, value in extra.items()}


def merge(extra: str, changes: Mapping[str, str | None], id_: str) -> str:
    """Return undeclared metadata after applying changes, given as JSON texts; None removes a key."""
    if not changes:
        return extra
    values = {key: None if text is None else json.loads(text) for key, text in changes.items()}
    return dump({**json.loads(extra), **values}, f"Record {id_!a}")


def join(
    columns: Mapping[str, Sequence[Stored | None]], extras: Sequence[str], fields: Mapping[str, Field]
) -> list[dict[str, Any]]:
    """Return the metadata of records as the user wrote it: declared fields in the schema's order, then the rest."""
    found: list[dict[str, Any]] = [{} for _ in extras]
    for name, field in fields.items():
        # Most kinds of field are stored as the user gave them.
        decode = None if type(field).decode is Field.decode else field.decode
        for values, stored in zip(found, columns[name], strict=True):
            if stored is not None:
                values[name] = stored if decode is None else decode(stored)
    for values, extra in zip(found, extras, strict=True):
        if extra != NO_EXTRA:
            values.update(json.loads(extra))
    return found


def check_key(key: object) -> str:
    """Return a key that can be stored; raise ``ValueError`` with the reason if it cannot."""
    reason = find_fault(key, 0, MAX_BYTES)
    if reason:
        advice = "" if isinstance(key, str) else "; give str(key)"
        raise ValueError(f"has a key that {reason}{advice}")
    return to_plain(key)


def _to_json_value(value: Any, depth: int) -> Any:
    """Return a JSON value made of plain Python objects; raise ``ValueError`` with the reason if it is not JSON."""
    value = unwrap(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        reason = find_fault(value, 0, MAX_BYTES)
        if reason:
            raise ValueError(reason)
        return to_plain(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(_describe_no_number(value, depth))
        return float(value)
    if depth > MAX_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_DEPTH}; give json.dumps(value)")
    if isinstance(value, list | tuple):
        return [_to_json_value(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {check_key(key): _to_json_value(item, depth + 1) for key, item in value.items()}
    raise ValueError(_describe_no_json(value, depth))


def _describe_no_number(value: float, depth: int) -> str:
    what = "NaN" if math.isnan(value) else "infinity"
    verb, advice = ("is", "leave the key out or give None") if depth == 1 else ("contains", "give None in its place")
    return f"{verb} {what}, which JSON cannot represent; for a missing value {advice}"


def _describe_no_json(value: object, depth: int) -> str:
    if missing := name_missing(value):
        return f"{'is' if depth == 1 else 'contains'} {missing}, {MISSING}"
    kind = type(value).__name__
    article = "an" if kind[:1].lower() in set("aeiou") and kind != "UUID" else "a"
    return f"contains {article} {kind}, which JSON cannot represent; {suggest_json(value, nested=depth > 1)}"
