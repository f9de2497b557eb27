"""The rule for texts of queries: what an embedder can make something of.

A query text has at least one letter, digit or symbol of any script: ``C++``, ``日本`` and an emoji are queries.
White space, invisible characters and punctuation alone are not. They are near to nothing or, worse, near to
anything, depending on the model, so every store refuses them before its embedder sees them.

In ASCII, all other visible characters are punctuation. Outside, the categories of Unicode decide.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from .blank_texts import INVISIBLE
from .errors import InvalidQuery
from .rows.vectors import name_queries

_MEANINGFUL = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Sm", "Sc", "So"})


def has_meaning(text: str) -> bool:
    """Return whether a text has a letter, a digit or a symbol."""
    if text.isascii():
        return any(map(str.isalnum, text))
    return any(
        char.isalnum() if char.isascii() else unicodedata.category(char) in _MEANINGFUL and char not in INVISIBLE
        for char in text
    )


def check_query_texts(queries: Sequence[object]) -> None:
    """Check those queries that are texts.

    Raises
    ------
    InvalidQuery
        With the position of the query if there are several.
    """
    for position, query in enumerate(queries):
        if isinstance(query, str) and not has_meaning(query):
            name = name_queries(len(queries))[position]
            what = "has no letter, digit or symbol" if query else "is an empty text"
            raise InvalidQuery(f"{name} {what}, so nothing is near to it. Give a text with words, or a vector.")
