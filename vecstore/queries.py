"""A user's search arguments: their limits and checks, and the `Search` that a backend gets for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from .arguments import describe, is_finite
from .backend import Include, Search
from .errors import InvalidArgument, InvalidQuery, close_matches
from .filters.binding import bind
from .filters.nodes import Compare, Filter
from .metric import Metric
from .schema import Schema

if TYPE_CHECKING:
    from .hits import Hits

MAX_K = 10_000
MAX_EF = 1_000
DEFAULT_INCLUDE = ("text", "metadata")

ROUNDING = 1e-6
"""A cosine that a user computed may be this far above 1 or below -1."""

_LIMITS: Mapping[Metric, str] = {
    Metric.COSINE: "from -1 to 1",
    Metric.IP: "all numbers",
    Metric.L2: "0 and below: the negative distance",
}

_PLAIN = (1e-20, 1e20)
"""Squared norms in this range are far within the limits."""

_COLUMNS = frozenset(get_args(get_args(Include)[0]))


def check_arguments(
    k: int,
    min_score: float | None,
    ef: int | None,
    include: Collection[str],
    exact: bool = False,  # noqa: FBT001, FBT002 - only the facade calls it, by position
    offset: int = 0,
) -> Include:
    """Check the arguments that do not depend on the schema, and return the requested columns.

    Raises
    ------
    InvalidArgument
    """
    if not _is_whole(k) or not 0 <= k <= MAX_K:
        raise InvalidArgument(f"k must be a whole number from 0 to {MAX_K:,}, not {describe(k)}.")
    if not _is_whole(offset) or not 0 <= offset <= MAX_K - k:
        raise InvalidArgument(
            f"offset must be a whole number from 0 to {MAX_K - k:,}, not {describe(offset)}: "
            f"offset and k together are at most {MAX_K:,}. Narrow the search by a filter to go further."
        )
    if ef is not None and (not _is_whole(ef) or not 1 <= ef <= MAX_EF):
        raise InvalidArgument(
            f"ef must be a whole number from 1 to {MAX_EF:,}, or None for the calibrated one, not {describe(ef)}."
        )
    if min_score is not None and not is_finite(min_score):
        raise InvalidArgument(f"min_score must be a finite number, not {describe(min_score)}.")
    if exact is not True and exact is not False:
        raise InvalidArgument(f"exact must be True or False, not {describe(exact)}.")
    return check_include(include)


def check_include(include: Collection[str]) -> Include:
    """Return the requested columns.

    Raises
    ------
    InvalidArgument
    """
    if isinstance(include, str) or not isinstance(include, Collection):
        raise InvalidArgument(f"include must be a list such as ['text', 'metadata'], not {type(include).__name__}.")
    for column in include:
        if not isinstance(column, str) or column not in _COLUMNS:
            shown = f"{column[:40]!a}" if isinstance(column, str) else describe(column)
            raise InvalidArgument(f"include does not know {shown}.{close_matches(str(column)[:40], _COLUMNS)}")
    return cast("Include", frozenset(include))


def clip_threshold(min_score: float, metric: Metric) -> float:
    """Return ``min_score`` within the metric's range of scores; a cosine may exceed it by a rounding error.

    Raises
    ------
    InvalidQuery
        No score is that high, or every score is higher.
    """
    low, high = metric.score_range
    floor = float(min_score)
    slack = ROUNDING if metric is Metric.COSINE else 0.0
    if low - slack <= floor <= high + slack:
        return min(max(floor, low), high)
    raise InvalidQuery(f"min_score is {floor:g}, but scores of the metric {metric} are {_LIMITS[metric]}.")


def read_plain_query(asked: Sequence[object], schema: Schema) -> NDArray[np.float32] | None:
    """Return a single query as a matrix if it is obviously a valid array, or None if it needs all checks."""
    if len(asked) != 1:
        return None
    query = asked[0]
    if type(query) is not np.ndarray or query.dtype != np.float32 or query.shape != (schema.dim,):
        return None
    wide = query.astype(np.float64)
    if schema.dtype != "float32" or not _PLAIN[0] < wide.dot(wide) < _PLAIN[1]:
        return None
    return query[None, :] if query.flags.c_contiguous else np.ascontiguousarray(query)[None, :]


def compile_search(
    matrix: NDArray[np.float32],
    schema: Schema,
    *,
    k: int,
    where: Filter | Mapping[str, Any] | None,
    min_score: float | None,
    ef: int | None,
    exact: bool,
    include: Include,
    without: str | None = None,
) -> Search:
    """Return the search for a backend: the filter is bound to the schema, and the record ``without`` is excluded.

    ``min_score`` is within the range of the metric; see `clip_threshold`.
    """
    bound = None if where is None else bind(where, schema)
    if without is not None:
        others = ~Compare("id", "eq", without)
        bound = others if bound is None else bound & others
    floor = None if min_score is None else float(min_score)
    return Search(matrix, k, bound, floor, ef, exact, include)


def describe_plan(search: Search, answers: Sequence[Hits], ef: int | None) -> str:
    """Return for the log how a search found its hits; ``ef`` is the calibrated effort."""
    exact = sum(answer.exact for answer in answers)
    effort = ef if search.ef is None else search.ef
    plan = "exact" if exact == len(answers) else f"index with ef={effort}" + (f", {exact} exact" if exact else "")
    return f"{len(answers)} queries, {plan}{', filtered' if search.where is not None else ''}"


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
