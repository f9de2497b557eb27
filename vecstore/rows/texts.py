"""The rule for texts of records: up to 16 MiB of UTF-8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..errors import InvalidMetadata
from .missing import name_missing
from .strings import are_storable, find_fault, to_plain

MAX_TEXT_BYTES = 16 << 20

_ADVICE: Mapping[type, str] = MappingProxyType(
    {
        bytes: "; give text.decode()",
        list: "; join its parts, or make a record of each",
        tuple: "; join its parts, or make a record of each",
        int: "; give str(text)",
        float: "; give str(text)",
    }
)


def check_text(text: object, owner: str) -> str | None:
    """Return a record's text if it can be stored. Error messages call the record ``owner``.

    Raises
    ------
    InvalidMetadata
    """
    if text is None:
        return None
    reason = find_fault(text, 0, MAX_TEXT_BYTES)
    if reason is None:
        return to_plain(text)
    if missing := name_missing(text):
        raise InvalidMetadata(f"{owner}: the text is {missing}. Give None for a record without a text.")
    advice = _ADVICE.get(type(text), "")
    if isinstance(text, str) and len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        advice = "; split it into several records"
    raise InvalidMetadata(f"{owner}: the text {reason}{advice}.")


def check_texts(texts: Sequence[object], owners: Sequence[str]) -> list[str | None]:
    """Return the texts of records after checking them; see `check_text`."""
    found: list[Any] = list(texts)
    if are_storable([text for text in found if text is not None], 0, MAX_TEXT_BYTES):
        return found
    return [check_text(text, owner) for text, owner in zip(texts, owners, strict=True)]
