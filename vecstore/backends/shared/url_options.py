"""A URL's parameters as options. One table gives the name, the parser and the range of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from vecstore.errors import InvalidUrl, close_matches

_VECTORS = "Milvus follows stores of PostgreSQL only: postgresql://…?vectors=milvus://host:19530."


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a URL.

    Attributes
    ----------
    attribute : str
        Name of the option.
    convert : callable
        Parses the text; raises ``ValueError`` or ``KeyError`` if it is not valid.
    expected : str
        The valid values, for error messages.
    """

    attribute: str
    convert: Callable[[str], Any]
    expected: str


def seconds(*, positive: bool = True) -> Callable[[str], float]:
    """Return a parser of seconds, up to a day."""

    def convert(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and 0 <= value <= 86_400) or (positive and not value):
            raise ValueError
        return value

    return convert


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers in a range."""

    def convert(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return convert


def word(words: Mapping[str, bool]) -> Callable[[str], bool]:
    """Return a parser of a few words."""
    return lambda text: words[text]


MODE = Parameter("read_only", word({"rw": False, "ro": True}), "rw or ro")
MIN_ROWS = Parameter("index_min_rows", whole(1, 1 << 40), "a whole number of at least 1")


def split(
    given: Mapping[str, str], ours: Mapping[str, Parameter], theirs: Collection[str], scheme: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of our options and the parameters to pass to the driver.

    Raises
    ------
    InvalidUrl
    """
    values: dict[str, Any] = {}
    passed: dict[str, str] = {}
    for name, text in given.items():
        if name in ours:
            parameter = ours[name]
            try:
                values[parameter.attribute] = parameter.convert(text)
            except (ValueError, KeyError):  # the message would quote the value, which may be part of a password
                raise InvalidUrl(f"The URL's parameter {name} must be {parameter.expected}.") from None
        elif name in theirs:
            passed[name] = text
        else:
            known = {*ours, *theirs}
            # Any other name may be part of a password that has a question mark in it.
            if name == "vectors":
                raise InvalidUrl(f"{scheme}: has no parameter 'vectors'. {_VECTORS}")
            shown = f"no parameter {name[:40]!a}" if get_close_matches(name, known) else "no such parameter"
            raise InvalidUrl(f"{scheme}: has {shown}.{close_matches(name, known)}")
    return values, passed
