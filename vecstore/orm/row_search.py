"""Searches whose hits are rows: found in a store, then looked up in the database, which has the last word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ..filters import F, Filter
from ..hits import Hit
from ..queries import MAX_K
from ..store import VectorStore
from .chunks import ROW
from .conditions import make_filter
from .keys import Key
from .searched_models import SearchedModel

SPARE = 10
"""Hits that are asked for beyond k, since some rows may be gone."""
FEW_ROWS = 2_000
"""Up to so many rows that ``where`` matches, the search is among their records alone."""
_WIDENING = 4
_PAGE = 500
Found = list[tuple[Any, Hit]]


class RowSearch:
    """One search for rows of a model.

    Parameters
    ----------
    session : Session
    model : SearchedModel
    entity : type
        Its class, or one that inherits from it: rows of others are hidden.
    store : VectorStore
    query : str or array_like
    k : int
    where : ColumnElement, optional
        Rows that it does not match are hidden.
    min_score : float, optional
    exact : bool
    """

    def __init__(
        self,
        session: Session,
        model: SearchedModel,
        entity: type[Any],
        store: VectorStore,
        query: Any,
        k: int,
        where: ColumnElement[bool] | None,
        min_score: float | None,
        *,
        exact: bool,
    ) -> None:
        self._session = session
        self._model = model
        self._entity = entity
        self._store = store
        self._query = query
        self._k = k
        self._where = where
        self._min_score = min_score
        self._exact = exact
        self._rows: dict[str, Any | None] = {}

    def run(self) -> Found:
        """Return up to k rows with their hits, nearest first; fewer only if no more records match."""
        known = [field for field in self._model.fields if self._store.schema.fields.get(field.attribute) == field.field]
        narrowed = make_filter(self._where, known)
        asked = min(self._k + SPARE, MAX_K)
        hits = self._search(asked, narrowed)
        found = self._keep_rows(hits)
        if len(found) >= self._k or (narrowed is None and len(hits) < asked):
            return found[: self._k]
        # What a store knows of a row may be older than the row, so that from here on only the database chooses.
        hides = self._where is not None or self._entity is not self._model.entity
        matching = self._list_ids(FEW_ROWS + 1) if hides else None
        if matching is not None and len(matching) <= FEW_ROWS:
            return self._search_among(matching)
        return self._search_wider(asked)

    def _search_wider(self, asked: int) -> Found:
        """Ask for more and more records until k rows are found."""
        has_chunks = self._model.declaration.chunk is not None
        found, passed = Found(), set[str]()
        while True:
            hits = self._search(asked, ~F[ROW].in_(sorted(passed)) if passed else None)
            # Without chunks an answer begins with the one before. Of chunks, one row may have all that are asked for.
            found = sort_found([*found, *self._keep_rows(hits)]) if has_chunks else self._keep_rows(hits)
            if len(found) >= self._k or len(hits) < asked:
                return found[: self._k]
            if asked == MAX_K or len(passed) > MAX_K:
                return self._search_among(self._list_ids(None))
            if has_chunks:
                passed |= {row for hit in hits if (row := self._read_row_id(hit)) is not None}
            asked = min(asked * _WIDENING, MAX_K)

    def _search(self, k: int, where: Filter | None) -> Sequence[Hit]:
        return self._store.search(self._query, k, where=where, min_score=self._min_score, exact=self._exact)

    def _search_among(self, ids: Sequence[str]) -> Found:
        """Search the records of some rows."""
        found: Found = []
        for start in range(0, len(ids), MAX_K):
            found += self._search_part(ids[start : start + MAX_K])
        return sort_found(found)[: self._k]

    def _search_part(self, ids: Sequence[str]) -> Found:
        asked = min(self._k + SPARE, MAX_K)
        if self._model.declaration.chunk is None:
            return self._keep_rows(self._search(asked, F.id.in_(ids)))
        left, found = set(ids), Found()
        while left and len(found) < self._k:
            hits = self._search(asked, F[ROW].in_(sorted(left)))
            found += self._keep_rows(hits)
            left -= {row for hit in hits if (row := self._read_row_id(hit)) is not None}
            if len(hits) < asked:
                break
        return found

    def _keep_rows(self, hits: Iterable[Hit]) -> Found:
        """Return the best hit of each row that exists and is not hidden, with the row."""
        best: dict[str, Hit] = {}
        for hit in hits:
            row_id = self._read_row_id(hit)
            if row_id is not None and row_id not in best:
                best[row_id] = hit if row_id == hit.id else replace(hit, id=row_id)
        unknown = [row_id for row_id in best if row_id not in self._rows]
        for start in range(0, len(unknown), _PAGE):
            part = unknown[start : start + _PAGE]
            self._rows.update(dict.fromkeys(part))
            self._rows.update(self._read_rows(part))
        return [(row, hit) for row_id, hit in best.items() if (row := self._rows[row_id]) is not None]

    def _read_row_id(self, hit: Hit) -> str | None:
        """Return the id of the row that a record belongs to, None for somebody else's record."""
        try:
            return self._model.read_row_id(hit.id)
        except ValueError:
            return None

    def _read_rows(self, ids: Sequence[str]) -> dict[str, Any]:
        model = self._model
        keys: list[Key] = []
        for id_ in ids:
            try:
                keys.append(model.keys.parse_id(id_))
            except ValueError:  # somebody else's record
                continue
        wanted = select(self._entity).where(model.match_keys(keys))
        if self._where is not None:
            wanted = wanted.where(self._where)
        return {
            model.keys.format_id(model.get_key(row)): row for row in self._session.execute(wanted).scalars().unique()
        }

    def _list_ids(self, limit: int | None) -> list[str]:
        """Return the ids of the rows that ``where`` matches."""
        wanted = select(*self._model.get_key_attributes(self._entity)).limit(limit)
        if self._where is not None:
            wanted = wanted.where(self._where)
        return [self._model.keys.format_id(tuple(key)) for key in self._session.execute(wanted)]


def sort_found(found: Found) -> Found:
    """Return rows of several answers as one has them: nearest first, and by their ids where they are as near."""
    return sorted(found, key=lambda pair: (-pair[1].score, pair[1].id))
