"""Stored forms as attributes of a hash, and back.

What a filter compares for equality becomes a tag of ``[a-z0-9]``: the query engine splits tags at commas, trims them,
cuts them at a NUL and after 4,096 bytes, and folds their case; none of this can happen to such a token, and nothing of
the query language can be in one. Numbers are decimal text that is read back to the same number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vecstore.fields import Field, Stored

LIST = "l"
"""The first token of every list, so that an empty one is there too."""
_LONGEST = 200
_PLAIN = re.compile(r"[a-z0-9]{1,200}", re.ASCII)
_ALL_PLAIN = re.compile(r"[a-z0-9]*", re.ASCII)


def token(text: str) -> str:
    """Return a tag that stands for exactly this string: itself behind a ``p``, or its UTF-8 in hex behind an ``h``."""
    return f"p{text}" if _PLAIN.fullmatch(text) else f"h{text.encode().hex()}"


def tokens(texts: Sequence[str]) -> list[str]:
    """Return the tags of many strings, which most often are all plain."""
    lengths = set(map(len, texts))
    if lengths and min(lengths) > 0 and max(lengths) <= _LONGEST and _ALL_PLAIN.fullmatch("".join(texts)):
        return [f"p{text}" for text in texts]
    return list(map(token, texts))


def text_of(found: bytes) -> str:
    """Return the string that a tag stands for."""
    rest = found[1:].decode()
    return rest if found[:1] == b"p" else bytes.fromhex(rest).decode()


def truth(value: bool) -> str:  # noqa: FBT001 - the value itself
    """Return the tag of a bool."""
    return "true" if value else "false"


def list_of_tokens(values: tuple[str, ...]) -> str:
    """Return the tags of a list."""
    return ",".join((LIST, *map(token, values)))


def _list(found: bytes) -> tuple[str, ...]:
    return tuple(text_of(each) for each in found.split(b",")[1:])


@dataclass(frozen=True, slots=True)
class Form:
    """How the values of one kind of field lie in a hash.

    Attributes
    ----------
    indexed : str
        The kind of attribute, ``TAG`` or ``NUMERIC``.
    write, read : callable
        From stored form to what the driver gets, and back from the attribute's bytes.
    tag : callable or None
        From a value that a filter compares with to its tag; None for numbers.
    """

    indexed: str
    write: Callable[[Any], str | int]
    read: Callable[[bytes], Stored]
    tag: Callable[[Any], str] | None = None


_WHOLE = Form("NUMERIC", int, int)
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "keyword": Form("TAG", token, text_of, token),
        "keywords": Form("TAG", list_of_tokens, _list, token),
        "int": _WHOLE,
        "datetime": _WHOLE,
        "float": Form("NUMERIC", repr, float),
        "bool": Form("TAG", truth, b"true".__eq__, truth),
    }
)


def form(field: Field) -> Form:
    """Return how a field's values lie in a hash."""
    return FORMS[field.kind]
