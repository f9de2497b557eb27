"""Searches among vectors in the rows themselves: one statement, and more of it only where that found too few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from ..hits import Hit
from ..index_options import HNSW
from ..metric import Metric
from .row_search import Found
from .searched_models import SearchedModel
from .vector_columns import DISTANCES, INDEX

_ITERATIVE: Mapping[str, str] = {"hnsw.iterative_scan": "strict_order"}
_EXACT: Mapping[str, str] = {"enable_indexscan": "off"}


def search_column(
    session: Session,
    model: SearchedModel,
    entity: type[Any],
    vector: NDArray[Any],
    k: int,
    where: ColumnElement[bool] | None,
    min_score: float | None,
    *,
    exact: bool,
) -> Found:
    """Return up to k rows with their hits, nearest first; fewer only if no more match.

    An index of pgvector forgets rows that ``where`` hides. If it found too few, it goes on searching, and if these are
    still too few, all rows are compared. The settings for that are the caller's again afterwards.
    """
    column = model.get_vector_column()
    metric: Metric = column.type.metric  # type: ignore[attr-defined]
    attribute = getattr(entity, model.declaration.column or "")
    distance = DISTANCES[metric](attribute, vector)
    wanted = select(entity, distance).where(attribute.is_not(None))
    if where is not None:
        wanted = wanted.where(where)
    if min_score is not None:
        wanted = wanted.where(distance <= metric.distance(min_score))
    wanted = wanted.order_by(distance).limit(k)

    highest = metric.distance(0.0)

    def run() -> Found:
        found = [
            (row, Hit(model.keys.format_id(model.get_key(row)), highest - far, far))
            for row, far in session.execute(wanted).unique().all()
        ]
        return sorted(found, key=lambda pair: (-pair[1].score, pair[1].id))

    if session.get_bind().dialect.name != "postgresql" or not isinstance(column.info.get(INDEX), HNSW):
        return run()
    found = [] if exact else run()
    for settings in (_EXACT,) if exact else (_ITERATIVE, _EXACT):
        if len(found) >= k:
            break
        with _set_locally(session, settings):
            found = run()
    return found


@contextmanager
def _set_locally(session: Session, settings: Mapping[str, str]) -> Iterator[None]:
    """Change settings of the transaction for some statements."""
    before = {name: session.scalar(select(func.current_setting(name, True))) for name in settings}
    for name, value in settings.items():
        session.execute(select(func.set_config(name, value, True)))
    yield
    for name, former in before.items():
        session.execute(select(func.set_config(name, former or "off", True)))
