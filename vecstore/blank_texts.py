"""Blank texts: white space, invisible characters, or nothing at all. No embedder ever sees one.

A model makes something of nothing: one gives a vector of zeros, another the unit vector that all blank texts share, and
that is near to everything. So a record gets no vector from a blank text, and an embedder that is handed one refuses it.
"""

from __future__ import annotations

import unicodedata

INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc\ufffd")
"""Fillers and replacement characters, which count as letters or symbols but show nothing."""
_EMPTY = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def is_blank(text: str) -> bool:
    """Return whether a text has no visible character. Stops at the first one."""
    if not text or text.isspace():
        return True
    if text[0].isalnum() and text[0] not in INVISIBLE:
        return False
    return not any(unicodedata.category(char) not in _EMPTY and char not in INVISIBLE for char in text)
