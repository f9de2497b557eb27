"""What a model sees of stores and records: plain data for JSON, and never more than it can read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ...fields import DateTime, Field
from ...schema import Schema
from ..output import dump_json

ANSWER_CHARS = 100_000
"""Characters of texts in one answer, and about as many of metadata: some 25,000 tokens each."""
METADATA_CHARS = 4_000
"""Characters of metadata that are shown of each record of a longer list."""
VALUE_CHARS = 1_000
_NAMES = 20
_NAME_CHARS = 100

_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "eq": ("$eq", "$ne"),
    "in": ("$in", "$nin"),
    "lt": ("$lt",),
    "lte": ("$lte",),
    "gt": ("$gt",),
    "gte": ("$gte", "$between"),
    "contains_any": ("$contains", "$contains_any"),
    "contains_all": ("$contains_all",),
    "starts_with": ("$starts_with",),
    "contains_text": ("$contains_text",),
}
"""How the JSON of a filter spells each operator of a field, and what is made of it."""
_VALUES: Mapping[str, str] = {
    "keyword": "string", "keywords": "list of strings", "int": "whole number", "float": "number",
    "bool": "true or false", "datetime": "date with a time zone in ISO 8601, such as 2024-01-31T09:30:00Z",
}  # fmt: skip
_CLASSES: Mapping[type, str] = {
    str: "string", bool: "bool", int: "number", float: "number", list: "list", dict: "object",
}  # fmt: skip


def describe_fields(schema: Schema) -> dict[str, Any]:
    """Return each declared field with the values that it takes and its operators in a filter."""
    return {
        name: {"type": field.kind, "values": _VALUES[field.kind], "operators": list_operators(field)}
        for name, field in schema.fields.items()
    }


def list_operators(field: Field | None) -> list[str]:
    """Return the operators of a field, or of a key that nobody declared, as the JSON of a filter spells them."""
    known = _SPELLINGS if field is None else field.operators
    return [spelling for operator, spelled in _SPELLINGS.items() if operator in known for spelling in spelled] + [
        "$exists"
    ]


def list_classes(metadata: Iterable[Mapping[str, Any]], declared: Collection[str], most: int) -> dict[str, list[str]]:
    """Return keys that are not declared, at most so many, with the classes of their values."""
    found: dict[str, set[str]] = {}  # without keys that are too long to be read
    for each in metadata:
        for key, value in each.items():
            if key not in declared and len(key) <= _NAME_CHARS and (key in found or len(found) < most):
                found.setdefault(key, set()).add(_CLASSES.get(type(value), type(value).__name__))
    return {key: sorted(classes) for key, classes in found.items()}


def show_text(text: str | None, start: int, most: int) -> dict[str, Any]:
    """Return a part of a text, and where it stands in it unless it is all."""
    if text is None:
        return {}
    part = text[start : start + most]
    return {"text": part} if part == text else {"text": part, "text_from": start, "text_length": len(text)}


def show_metadata(metadata: Mapping[str, Any], declared: Collection[str], most: int) -> dict[str, Any]:
    """Return as much metadata as is to be read, declared fields first, and the names of the keys that are left out."""
    shown: dict[str, Any] = {}
    left: list[str] = []
    for key in sorted(metadata, key=lambda key: key not in declared):
        size = len(key) + len(dump_json(metadata[key]))
        if size <= most:
            shown[key] = metadata[key]
            most -= size
        else:
            left.append(key)
    if not left:
        return {"metadata": shown}
    names = [key[:_NAME_CHARS] for key in left[:_NAMES]]
    return {"metadata": shown, "metadata_left_out": {"keys": names, "count": len(left)}}


def show_value(value: Any) -> Any:
    """Return a value of a field, the beginning of a long string."""
    return value if not isinstance(value, str) or len(value) <= VALUE_CHARS else f"{value[:VALUE_CHARS]}…"


def read_metadata(metadata: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return metadata as JSON has it in the form that a record takes: texts of dates become dates."""
    return {key: _read_value(value, fields.get(key)) for key, value in metadata.items()}


def _read_value(value: Any, field: Field | None) -> Any:
    if not isinstance(field, DateTime) or not isinstance(value, str) or field.text:
        return value
    try:
        return field.decode(field.operand(value))
    except ValueError:
        return value  # which the store refuses with its name
