"""Plain mappings as records, as JSON has them: ``{"id": "a", "vector": […], "text": "…", "metadata": {…}}``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..errors import InvalidArgument, InvalidId, close_matches
from ..records import Record

PARTS = tuple(each.name for each in fields(Record))


def make_record(given: Mapping[str, Any], number: int) -> Record:
    """Return the record of a mapping, the one at position ``number`` of the caller's iterable.

    None means that a part is missing, as in JSON.

    Raises
    ------
    InvalidId, InvalidArgument
    """
    unknown = next((key for key in given if key not in PARTS), None)
    if unknown is not None:
        raise InvalidArgument(_describe_key(unknown, number))
    parts = {name: value for name, value in given.items() if value is not None}
    if "id" not in parts:
        raise InvalidId(f"records[{number}] has no 'id'. Give one, such as str(uuid.uuid4()).")
    return Record(**parts)


def _describe_key(key: object, number: int) -> str:
    if not isinstance(key, str):
        shown, near = f"a key of type {type(key).__name__}", ""
    else:
        shown, near = f"the unknown key {key[:60]!a}", close_matches(key, PARTS)
    hint = near if near.startswith(" Did") else ""
    return f"records[{number}] has {shown}.{hint} A Record has {', '.join(PARTS)}; other keys belong in its metadata."
