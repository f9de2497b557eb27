"""The rule for ids of records: 1 to 512 bytes of UTF-8."""

from __future__ import annotations

from collections.abc import Iterable

from .errors import InvalidArgument, InvalidId
from .rows.strings import find_fault, to_plain

MAX_ID_BYTES = 512


def check_id(value: object) -> str:
    """Return the id if it is valid.

    Raises
    ------
    InvalidId
    """
    reason = find_fault(value, 1, MAX_ID_BYTES)
    if reason is None:
        return to_plain(value)
    shown = f" {value[:40]!a}" if isinstance(value, str) and value else ""
    raise InvalidId(f"The id{shown} {reason}. An id is a str of 1 to {MAX_ID_BYTES} bytes.")


def check_ids(ids: object) -> list[str]:
    """Return ids as a list of valid ones. A bare ``str`` is refused, because it would be read letter by letter.

    Raises
    ------
    InvalidArgument, InvalidId
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise InvalidArgument(f"ids must be a list of ids, not {type(ids).__name__}. Write ids=[…].")
    return [check_id(value) for value in ids]
