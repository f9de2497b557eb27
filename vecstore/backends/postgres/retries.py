"""Retries: which failures of a statement are worth another try, and how many."""

from __future__ import annotations

import psycopg

from ..shared.deadlines import Limit
from .failures import is_lost, read_state

REPEATABLE = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: nothing was done, and the same statement may succeed."""
TRIES = 4
"""How often a statement is sent at most."""
_WORTH_TRYING = 1.0
"""A lost statement is not repeated with fewer seconds left, because connecting may take two."""


def is_worth_trying(error: psycopg.Error, limit: Limit, *, committing: bool) -> bool:
    """Say whether a statement may and should be sent again: never after a commit that may have been made."""
    again = read_state(error) in REPEATABLE or (is_lost(error) and not committing)
    return again and limit.remaining >= _WORTH_TRYING
