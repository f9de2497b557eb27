"""Does the graph agree with the table? A sample of stored vectors, each searched for both ways."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vecstore.backend import Found, Rows, Search

SAMPLE = 40
_EF = 200
_LEAST = 0.5
"""A sound graph finds nearly every stored vector; one that vacuum has spoilt, or of other rows, finds few."""


def disagreement(sample: Rows, search: Callable[[Search], list[Found]]) -> str | None:
    """Say how a graph disagrees with exact search, None where it does not."""
    if sample.vectors is None or not len(sample):
        return None
    queries = np.asarray(sample.vectors, np.float32)
    walked = search(Search(queries, 1, ef=_EF))
    true = search(Search(queries, 1, exact=True))
    if any(found.exact for found in walked):
        return None
    right = sum(_as_near(found, best) for found, best in zip(walked, true, strict=True))
    if right >= _LEAST * len(queries):
        return None
    return f"the index finds {right} of {len(queries)} stored vectors: reindex()"


def _as_near(found: Found, best: Found) -> bool:
    if not len(found.scores) or not len(best.scores):
        return not len(best.scores)
    return bool(found.scores[0] >= best.scores[0] - 1e-5 * max(1.0, abs(best.scores[0])))
