"""Records one by one, for backends that keep them as Python objects: from columns and back, updates, exact search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Found, Rows, Search, Update
from vecstore.fields import Stored
from vecstore.metric import score_rows
from vecstore.rows import metadata
from vecstore.schema import Schema


@dataclass(frozen=True, slots=True, eq=False)
class RowRecord:
    """What one row of `Rows` holds beside its id."""

    vector: NDArray[Any] | None
    text: str | None
    fields: Mapping[str, Stored | None]
    extra: str
    version: int

    def apply(self, update: Update, id_: str) -> RowRecord:
        """Return the record with an update laid over it, as `Backend.update` does."""
        return replace(
            self,
            vector=None if update.removes_vector else self.vector if update.vector is None else update.vector,
            text=update.text if update.sets_text else self.text,
            fields={**self.fields, **update.fields},
            extra=metadata.merge(self.extra, update.extra, id_),
        )


def take_record(rows: Rows, number: int, version: int) -> RowRecord:
    """Return one row of a write, which has every column, with the version that it gets."""
    if rows.vectors is None or rows.texts is None or rows.fields is None or rows.extras is None:
        raise TypeError("a write needs every column")
    return RowRecord(
        vector=rows.vectors[number].copy() if rows.present is None or rows.present[number] else None,
        text=rows.texts[number],
        fields={name: column[number] for name, column in rows.fields.items()},
        extra=rows.extras[number],
        version=version,
    )


def make_rows(schema: Schema, records: Mapping[str, RowRecord], ids: Sequence[str]) -> Rows:
    """Return the records of some ids by column, in the order of the ids."""
    chosen = [records[id_] for id_ in ids]
    nothing = np.zeros(schema.width, schema.dtype)
    vectors = [nothing if record.vector is None else record.vector for record in chosen]
    present = np.array([record.vector is not None for record in chosen], np.bool_)
    return Rows(
        ids=list(ids),
        vectors=np.array(vectors, schema.dtype).reshape(len(chosen), schema.width),
        texts=[record.text for record in chosen],
        fields={name: [record.fields.get(name) for record in chosen] for name in schema.fields},
        extras=[record.extra for record in chosen],
        versions=[record.version for record in chosen],
        present=None if present.all() else present,
    )


def keep_searchable(records: Mapping[str, RowRecord], ids: Sequence[str]) -> list[str]:
    """Return those of some ids whose records have a vector."""
    return [id_ for id_ in ids if records[id_].vector is not None]


def choose_evenly(records: Mapping[str, RowRecord], ids: Sequence[str], size: int) -> list[str]:
    """Return the ids that `Backend.sample` draws of the sorted ids of all matches."""
    ids = keep_searchable(records, ids)
    return ids if len(ids) <= size else [ids[number * len(ids) // size] for number in range(size)]


def search_exactly(schema: Schema, records: Mapping[str, RowRecord], ids: Sequence[str], search: Search) -> list[Found]:
    """Return the nearest of the records of some ids, which are sorted, for each query."""
    rows = make_rows(schema, records, keep_searchable(records, ids))
    if rows.vectors is None:
        raise TypeError("make_rows() returns every column")
    answers = []
    for query in search.queries:
        scores = score_rows(schema.metric, rows.vectors, query)
        best = np.argsort(-scores, kind="stable")[: search.k]  # rows are in the order of ids, and ties keep it
        hits = make_rows(schema, records, [rows.ids[number] for number in best])
        answers.append(Found(hits, scores[best], exact=True))
    return answers
