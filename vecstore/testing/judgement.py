"""What has to be true of an answer, given all records in their true order."""

from __future__ import annotations

import numpy as np

from ..hits import Hits
from ..records import Record
from ..schema import Schema

TOLERANCE = {"float32": 1e-5, "float16": 2e-3}


def to_bits(record: Record | None) -> object:
    """Return what has to be the same to the last bit, types included."""
    if record is None:
        return None
    vector = None if record.vector is None else np.asarray(record.vector)
    bits = None if vector is None else (vector.dtype.str, vector.tobytes())
    return record.id, record.text, repr(dict(record.metadata)), bits


def check_hits(found: Hits, truth: Hits, k: int, floor: float | None, schema: Schema, *, exact: bool) -> None:
    """Compare an answer with all records in their true order; ties within the tolerance may fall either way."""
    true = {hit.id: hit.score for hit in truth}
    width = TOLERANCE[schema.dtype] * max([1.0, *(abs(score) for score in true.values())]) * 10
    sure = [score for score in true.values() if floor is None or score > floor + width]
    possible = [score for score in true.values() if floor is None or score >= floor - width]
    assert len(found) <= min(k, len(possible))
    # What approximates may overlook records above a floor, but has to say so.
    assert len(found) >= min(k, len(sure)) or not (found.exact or found.complete or floor is None)
    assert [(hit.score, hit.id) for hit in found] == sorted(
        ((hit.score, hit.id) for hit in found), key=lambda pair: (-pair[0], pair[1])
    )
    assert len({hit.id for hit in found}) == len(found)
    for hit in found:
        assert abs(hit.score - true[hit.id]) <= width
        assert abs(hit.distance - schema.metric.distance(hit.score)) <= width
        assert floor is None or hit.score >= floor
    if found.exact or exact:
        assert found.exact
        best = sorted(possible, reverse=True)[: len(found)]
        assert all(abs(hit.score - score) <= width for hit, score in zip(found, best, strict=True))


def measure_recall(found: Hits, truth: Hits, k: int, floor: float | None) -> float:
    """Return the share of the ``k`` nearest that were found; one as near as the last of them is as good."""
    near = [hit.score for hit in truth if floor is None or hit.score >= floor][:k]
    if not near:
        return 1.0
    least = near[-1] - 1e-5 * max(1.0, abs(near[-1]))
    return min(1.0, sum(hit.score >= least for hit in found) / len(near))
