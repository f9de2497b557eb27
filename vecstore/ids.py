"""The rule for ids of records: 1 to 512 bytes of UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from .errors import InvalidArgument, InvalidId
from .rows.missing import name_missing
from .rows.strings import find_fault, to_plain

MAX_ID_BYTES = 512


_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "NoneType": "Every record needs one of its own, such as str(uuid.uuid4())",
        "bytes": "Give id.decode()",
        "list": "Join its parts to a str",
        "tuple": "Join its parts to a str",
    }
)


def check_id(value: object, owner: str = "") -> str:
    """Return the id if it is valid. Error messages begin with ``owner``, such as ``"records[3]"``.

    Raises
    ------
    InvalidId
    """
    reason = find_fault(value, 1, MAX_ID_BYTES)
    if reason is None:
        return to_plain(value)
    subject = f"{owner}: the id" if owner else "The id"
    if missing := name_missing(value):
        raise InvalidId(f"{subject} is {missing}, a missing value. {_ADVICE['NoneType']}.")
    if not isinstance(value, str):
        advice = _ADVICE.get(type(value).__name__, "Give str(id)")
    else:
        advice = f"An id is a str of 1 to {MAX_ID_BYTES} bytes"
    shown = f" {value[:40]!a}" if isinstance(value, str) and value else ""
    raise InvalidId(f"{subject}{shown} {reason}. {advice}.")


def check_ids(ids: object) -> list[str]:
    """Return ids as a list of valid ones. A bare ``str`` is refused, because it would be read letter by letter.

    Raises
    ------
    InvalidArgument, InvalidId
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise InvalidArgument(f"ids must be a list of ids, not {type(ids).__name__}. Write ids=[…].")
    return [check_id(value, f"ids[{number}]") for number, value in enumerate(ids)]
