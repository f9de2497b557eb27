"""When an approximate answer must be replaced by an exact one, and whether a graph agrees with its table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vecstore.backend import Backend, Found, Generation, Rows, Search, Verification

LOOKED_AT = 10
"""Hits that are read at least, so that copies of one record are recognised."""
SAMPLE = 40
"""Stored vectors that `verify_index` searches for."""
_EF = 200
_LEAST = 0.5
"""A sound graph finds nearly every stored vector; one spoilt by vacuum, or built of other rows, finds few."""

Answer = Callable[[Search], list[Found]]


def is_doubtful(found: Found, k: int) -> bool:
    """Say whether a graph search may have missed something nearer.

    It ended before it had enough, or half of its hits are copies of one another: many copies of a vector form an
    island that a graph search may not leave.
    """
    if found.exact:
        return False
    scores = found.scores.tolist()
    return len(scores) < k or 2 * len(set(scores)) <= len(scores) + 1


def split_queries(search: Search, size: int) -> list[Search]:
    """Return searches of at most ``size`` queries each, which follow one another."""
    if len(search.queries) <= size:
        return [search]
    starts = range(0, len(search.queries), size)
    return [replace(search, queries=search.queries[start : start + size]) for start in starts]


def replace_doubtful(answers: list[Found], search: Search, answer: Answer) -> list[Found]:
    """Return the answers to a search, the doubtful ones replaced by exact ones.

    Parameters
    ----------
    answers : list of Found
    search : Search
        What they answer.
    answer : callable
        Answers the doubtful queries again, all at once.
    """
    doubtful = [number for number, each in enumerate(answers) if is_doubtful(each, search.k)]
    if not doubtful:
        return answers
    replaced = list(answers)
    again = answer(replace(search, queries=search.queries[doubtful], exact=True))
    for number, each in zip(doubtful, again, strict=True):
        replaced[number] = each
    return replaced


def verify_index(backend: Backend, generation: Generation, found: Verification) -> Verification:
    """Add what is wrong with the graph to a verification that found every record sound."""
    if found.problems or found.unchecked:
        return found
    sample = backend.sample(generation, None, SAMPLE)
    problem = find_disagreement(sample, lambda search: backend.search(generation, search))
    return replace(found, problems=(problem,)) if problem else found


def find_disagreement(sample: Rows, answer: Answer) -> str | None:
    """Say how graph searches for stored vectors disagree with exact ones; None where they agree."""
    if sample.vectors is None or not len(sample):
        return None
    queries = np.asarray(sample.vectors, np.float32)
    approximate = answer(Search(queries, 1, ef=_EF, fresh=True))
    true = answer(Search(queries, 1, exact=True, fresh=True))
    if any(found.exact for found in approximate):
        return None
    right = sum(_is_as_near(found, best) for found, best in zip(approximate, true, strict=True))
    if right >= _LEAST * len(queries):
        return None
    return f"the index finds {right} of {len(queries)} stored vectors: reindex()"


def _is_as_near(found: Found, best: Found) -> bool:
    if not len(found.scores) or not len(best.scores):
        return not len(best.scores)
    return bool(found.scores[0] >= best.scores[0] - 1e-5 * max(1.0, abs(best.scores[0])))
