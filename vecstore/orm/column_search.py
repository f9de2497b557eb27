"""Searches among vectors in the rows themselves: one statement, and more of it only where that found too few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, literal_column, select
from sqlalchemy.orm import Session

from ..hits import Hit
from ..index_options import HNSW
from ..metric import Metric
from .row_generations import RowGeneration
from .row_search import Found, sort_found
from .searched_models import SearchedModel
from .vector_columns import DISTANCES, INDEX, RowVector

_ITERATIVE: Mapping[str, str] = {"hnsw.iterative_scan": "strict_order"}
_EXACT: Mapping[str, str] = {"enable_indexscan": "off"}


def search_column(
    session: Session,
    model: SearchedModel,
    entity: type[Any],
    generation: RowGeneration,
    mark: ScalarSelect[str],
    vector: NDArray[Any],
    k: int,
    where: ColumnElement[bool] | None,
    min_score: float | None,
    *,
    exact: bool,
) -> tuple[Found, str | None]:
    """Return up to k rows with their hits, nearest first, and the mark of the column that was to be searched.

    There are fewer rows only if no more match. The mark comes with the rows, in one statement: if it is that of the
    generation, no rebuild has switched, and all of them were compared with a vector of their own embedder. An index of
    pgvector forgets rows that ``where`` hides. If it found too few, it goes on searching, and if these are still too
    few, all rows are compared. The settings for that are the caller's again afterwards.
    """
    column = model.get_vector_column()
    metric: Metric = column.type.metric  # type: ignore[attr-defined]
    attribute = _find_column(session, model, entity, generation, metric)
    distance = DISTANCES[metric](attribute, vector)
    wanted = select(entity, distance, mark).where(attribute.is_not(None))
    if where is not None:
        wanted = wanted.where(where)
    if min_score is not None:
        wanted = wanted.where(distance <= metric.distance(min_score))
    wanted = wanted.order_by(distance).limit(k)

    marks: list[str | None] = []
    highest = metric.distance(0.0)

    def run() -> Found:
        rows = session.execute(wanted).unique().all()
        marks.extend([seen for _, _, seen in rows])
        found = [(row, Hit(model.keys.format_id(model.get_key(row)), highest - far, far)) for row, far, _ in rows]
        return sort_found(found)

    found = [] if exact else run()
    if model.connect(session).dialect.name == "postgresql" and isinstance(column.info.get(INDEX), HNSW):
        for settings in (_EXACT,) if exact else (_ITERATIVE, _EXACT):
            if len(found) >= k:
                break
            with _set_locally(model.connect(session), settings):
                found = run()
    elif exact:
        found = run()
    if not marks:
        marks.append(model.connect(session).scalar(select(mark)))
    # Each statement may have seen another state; only if all saw the same one is the last one what was meant.
    return found, marks[0] if len(set(marks)) == 1 else ""


def _find_column(
    session: Session, model: SearchedModel, entity: type[Any], generation: RowGeneration, metric: Metric
) -> Any:
    """Return the column of a generation, as an expression."""
    declared = model.get_vector_column()
    if generation.column == declared.name and declared.type.dim == generation.dim:  # type: ignore[attr-defined]
        return getattr(entity, model.declaration.column or "")
    preparer = model.connect(session).dialect.identifier_preparer
    name = f"{preparer.format_table(model.table)}.{preparer.quote(generation.column)}"
    return literal_column(name, RowVector(generation.dim, metric))


@contextmanager
def _set_locally(connection: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    """Change settings of the transaction for some statements."""
    before = {name: connection.scalar(select(func.current_setting(name, True))) for name in settings}
    for name, value in settings.items():
        connection.execute(select(func.set_config(name, value, True)))
    yield
    for name, former in before.items():
        connection.execute(select(func.set_config(name, former or "off", True)))
