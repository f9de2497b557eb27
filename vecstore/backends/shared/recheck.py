"""When what a walk through a graph found is not to be believed, and an exact search has to answer."""

from __future__ import annotations

from vecstore.backend import Found

LOOKED_AT = 10
"""Hits at least that are read, so that copies of one record are known for what they are."""


def is_doubtful(found: Found, k: int) -> bool:
    """Say whether a walk may have missed something that is nearer.

    It ran dry before there were enough, or half of what it found are copies of one another: many copies of a
    vector are an island in a graph, out of which there may be no way.
    """
    if found.exact:
        return False
    scores = found.scores.tolist()
    return len(scores) < k or 2 * len(set(scores)) <= len(scores) + 1
