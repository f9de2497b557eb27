"""Field values as attributes of a hash, and back.

A value that filters compare for equality becomes a tag of ``[a-z0-9]``. The query engine splits tags at commas, trims
them, cuts them at a NUL and after 4,096 bytes, and folds their case; none of this can happen to such a token, and it
contains nothing of the query language. Numbers are decimal text that is read back to the same number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vecstore.fields import Stored

LIST = "l"
"""The first token of every list, which makes an empty list differ from a missing one."""
_LONGEST = 200
_PLAIN = re.compile(r"[a-z0-9]{1,200}", re.ASCII)
_ALL_PLAIN = re.compile(r"[a-z0-9]*", re.ASCII)


def encode_token(text: str) -> str:
    """Return the tag of a string: the string itself behind a ``p``, or its UTF-8 in hex behind an ``h``."""
    return f"p{text}" if _PLAIN.fullmatch(text) else f"h{text.encode().hex()}"


def encode_tokens(texts: Sequence[str]) -> list[str]:
    """Return the tags of many strings, which are most often all plain."""
    lengths = set(map(len, texts))
    if lengths and min(lengths) > 0 and max(lengths) <= _LONGEST and _ALL_PLAIN.fullmatch("".join(texts)):
        return [f"p{text}" for text in texts]
    return list(map(encode_token, texts))


def decode_token(tag: bytes) -> str:
    """Return the string of a tag."""
    rest = tag[1:].decode()
    return rest if tag[:1] == b"p" else bytes.fromhex(rest).decode()


def encode_bool(value: bool) -> str:  # noqa: FBT001 - the value itself
    """Return the tag of a bool."""
    return "true" if value else "false"


def encode_list(values: tuple[str, ...]) -> str:
    """Return the tags of a list."""
    return ",".join((LIST, *map(encode_token, values)))


def decode_list(tags: bytes) -> tuple[str, ...]:
    """Return the strings of a list's tags."""
    return tuple(decode_token(each) for each in tags.split(b",")[1:])


@dataclass(frozen=True, slots=True)
class FieldType:
    """How the values of one kind of field are stored in a hash.

    Attributes
    ----------
    indexed : str
        The kind of attribute, ``TAG`` or ``NUMERIC``.
    write, read : callable
        From stored form to the attribute's value, and back from its bytes.
    tag : callable or None
        From a value that a filter compares with to its tag; None for numbers.
    """

    indexed: str
    write: Callable[[Any], str | int]
    read: Callable[[bytes], Stored]
    tag: Callable[[Any], str] | None = None


_INTEGER = FieldType("NUMERIC", int, int)
FIELDS: Mapping[str, FieldType] = MappingProxyType(
    {
        "keyword": FieldType("TAG", encode_token, decode_token, encode_token),
        "keywords": FieldType("TAG", encode_list, decode_list, encode_token),
        "int": _INTEGER,
        "datetime": _INTEGER,
        "float": FieldType("NUMERIC", repr, float),
        "bool": FieldType("TAG", encode_bool, b"true".__eq__, encode_bool),
    }
)
"""By ``Field.kind``."""
