"""The rule for texts of records: up to 16 MiB of UTF-8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InvalidMetadata
from .strings import are_storable, find_fault, to_plain

MAX_TEXT_BYTES = 16 << 20


def check_text(text: object, owner: str) -> str | None:
    """Return a record's text if it can be stored. Error messages call the record ``owner``.

    Raises
    ------
    InvalidMetadata
    """
    if text is None:
        return None
    reason = find_fault(text, 0, MAX_TEXT_BYTES)
    if reason:
        raise InvalidMetadata(f"{owner}: the text {reason}.")
    return to_plain(text)


def check_texts(texts: Sequence[object], owners: Sequence[str]) -> list[str | None]:
    """Return the texts of records after checking them; see `check_text`."""
    found: list[Any] = list(texts)
    if are_storable([text for text in found if text is not None], 0, MAX_TEXT_BYTES):
        return found
    return [check_text(text, owner) for text, owner in zip(texts, owners, strict=True)]
