"""The rule for names of stores and fields."""

from __future__ import annotations

import re
import unicodedata

from .errors import InvalidArgument
from .urls import is_url

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHERS = re.compile(r"[^a-z0-9]+")
_LONGEST = 200
"""Characters of a wrong name that are looked at."""


def check_name(name: object, what: str, *, respell: bool = True) -> str:
    """Return the name of a store or a field if it is valid; the error has the nearest valid one, unless told not to.

    Raises
    ------
    InvalidArgument
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    rule = "a name has 1 to 48 characters of a-z, 0-9 and _, and starts with a letter."
    # There may be a password in it.
    if isinstance(name, str) and (is_url(name) or {":", "@"} <= set(name) or "password=" in name.lower()):
        raise InvalidArgument(f"{what}: a URL stands where a name belongs; {rule}")
    if not isinstance(name, str):
        raise InvalidArgument(f"{what} {type(name).__name__}: {rule}")
    near = _spell(name, what) if respell else ""
    raise InvalidArgument(f"{what} {name[:60]!a}: {rule}{f' Write {near!r}.' if near else ''}")


def _spell(name: str, what: str) -> str:
    """Return the valid name that is nearest to another one, or an empty string: ``my_index`` for ``My-Index``."""
    letters = unicodedata.normalize("NFKD", _HUMP.sub("_", name[:_LONGEST])).encode("ascii", "ignore").decode().lower()
    spelled = _OTHERS.sub("_", letters).strip("_")
    if not spelled:
        return ""
    start = "" if spelled[0].isalpha() else f"{what.lower()}_"
    return f"{start}{spelled}"[:48].rstrip("_")
