"""Passwords among the arguments of a command, which its errors must not repeat.

A URL in the wrong place, such as one where a store's name belongs, is quoted by the error that refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_MASK = "***"
_PARAMETER = re.compile(r"(?:password|passwd|pwd|secret|token|api_?key)=([^\s&]+)", re.IGNORECASE)
_SHORT = 4
"""Passwords of fewer characters are masked between their marks only, because words contain them."""


def find_secrets(arguments: Sequence[str]) -> list[str]:
    """Return what may be a password in arguments that look like URLs or settings of a connection, longest first."""
    found: set[str] = set()
    for argument in arguments:
        found.update(_PARAMETER.findall(argument))
        before, at, _ = argument.rpartition("@")
        _, colon, rest = before.partition(":")
        if not (at and colon):
            continue
        user, second, password = rest.lstrip("/").partition(":")
        if not second:
            found.add(f"{user}@" if rest.startswith("/") else user)
        else:
            found.add(password if len(password) >= _SHORT else f":{password}@")
    spelled = {form for each in found for form in (each, ascii(each)[1:-1], repr(each)[1:-1]) if form}
    return sorted(spelled, key=len, reverse=True)


def mask_secrets(text: str, secrets: Sequence[str]) -> str:
    """Return a text in which each secret is replaced by stars."""
    for secret in secrets:
        kept = (":" if secret.startswith(":") and secret.endswith("@") else "", "@" if secret.endswith("@") else "")
        text = text.replace(secret, f"{kept[0]}{_MASK}{kept[1]}")
    return text
