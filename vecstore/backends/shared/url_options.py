"""A URL's parameters as options: one table says what each is called, how it is read and what it may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from vecstore.errors import InvalidUrl, close_matches


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a URL.

    Attributes
    ----------
    attribute : str
        The option that it sets.
    convert : callable
        Returns the value of its text; ``ValueError`` or ``KeyError`` where there is none.
    expected : str
        What it must be, for a message.
    """

    attribute: str
    convert: Callable[[str], Any]
    expected: str


def seconds(*, positive: bool = True) -> Callable[[str], float]:
    """Return a reader of seconds, up to a day."""

    def convert(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and 0 <= value <= 86_400) or (positive and not value):
            raise ValueError
        return value

    return convert


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers."""

    def convert(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return convert


def word(words: Mapping[str, bool]) -> Callable[[str], bool]:
    """Return a reader of one of some words."""
    return lambda text: words[text]


MODE = Parameter("read_only", word({"rw": False, "ro": True}), "rw or ro")
MIN_ROWS = Parameter("index_min_rows", whole(1, 1 << 40), "a whole number of at least 1")


def split(
    given: Mapping[str, str], ours: Mapping[str, Parameter], theirs: Collection[str], scheme: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of our options, and the parameters that are the driver's.

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
            shown = f"no parameter {name[:40]!a}" if get_close_matches(name, known) else "no such parameter"
            raise InvalidUrl(f"{scheme}: has {shown}.{close_matches(name, known)}")
    return values, passed
