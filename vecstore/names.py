"""The rule for names of stores and fields."""

from __future__ import annotations

import re

from .errors import InvalidArgument
from .urls import is_url

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)


def check_name(name: object, what: str) -> str:
    """Return the name of a store or a field if it is valid.

    Raises
    ------
    InvalidArgument
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    rule = "a name has 1 to 48 characters of a-z, 0-9 and _, and starts with a letter."
    if isinstance(name, str) and (is_url(name) or {":", "@"} <= set(name)):  # there may be a password in it
        raise InvalidArgument(f"{what}: a URL stands where a name belongs; {rule}")
    shown = ascii(name[:60]) if isinstance(name, str) else type(name).__name__
    raise InvalidArgument(f"{what} {shown}: {rule}")
