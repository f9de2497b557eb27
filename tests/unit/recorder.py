"""A backend that keeps what it is called with, and what the contract says about that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from vecstore import ALL, Schema, fields
from vecstore.backend import Rows, Search, Superseded, Update
from vecstore.backends.memory import MemoryBackend
from vecstore.filters import Filter
from vecstore.filters.nodes import And, Compare, Not, Or
from vecstore.filters.operators import LISTS, OPERATORS

FIELDS: dict[str, fields.Field] = {
    "k": fields.Keyword(), "ks": fields.Keywords(), "i": fields.Int(), "f": fields.Float(), "b": fields.Bool(),
    "d": fields.DateTime(),
}  # fmt: skip
STORED: dict[str, type] = {"k": str, "ks": tuple, "i": int, "f": float, "b": bool, "d": int, "id": str}


class Recorder:
    """Hands every call on and keeps it; ``superseded`` calls are answered by `Superseded` first."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.superseded = 0
        self.capabilities = self.backend.capabilities

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.backend, name)

        def call(*positional: Any, **named: Any) -> Any:
            self.calls.append((name, positional, named))
            if self.superseded and name not in {"find", "names"}:
                self.superseded -= 1
                raise Superseded
            return method(*positional, **named)

        return call

    @property
    def names_called(self) -> list[str]:
        return [name for name, _, _ in self.calls]


def leaves(condition: Filter) -> Iterator[Compare]:
    match condition:
        case Compare():
            yield condition
        case And(items) | Or(items):
            for item in items:
                yield from leaves(item)
        case Not(item):
            yield from leaves(item)
        case _:
            raise AssertionError(f"not a bound filter: {condition}")


def check_filter(condition: object) -> None:
    assert isinstance(condition, Filter)
    for leaf in leaves(condition):
        assert leaf.op in OPERATORS
        single = str if leaf.field in {"ks", "id"} else STORED[leaf.field]
        if leaf.op == "exists":
            assert leaf.value is True
        elif leaf.op in LISTS:
            assert type(leaf.value) is tuple
            assert all(type(value) is single for value in leaf.value)
        else:
            assert type(leaf.value) is single


def check_selection(selection: object) -> None:
    if isinstance(selection, Filter):
        check_filter(selection)
    else:
        assert isinstance(selection, list)
        assert all(type(id_) is str and id_ for id_ in selection)


def check_rows(rows: Rows, schema: Schema) -> None:
    assert rows.vectors is not None
    assert rows.texts is not None
    assert rows.fields is not None
    assert rows.extras is not None
    assert (rows.vectors.shape, rows.vectors.dtype.name) == ((len(rows), 3), schema.dtype)
    assert rows.vectors.flags.c_contiguous
    assert np.isfinite(rows.vectors).all()
    assert len(set(rows.ids)) == len(rows.ids) == len(rows.texts) == len(rows.extras) > 0
    assert all(type(id_) is str for id_ in rows.ids)
    assert all(text is None or type(text) is str for text in rows.texts)
    assert all(type(json.loads(extra)) is dict and "\n" not in extra for extra in rows.extras)
    assert rows.fields.keys() == schema.fields.keys()
    for name, column in rows.fields.items():
        assert len(column) == len(rows)
        assert all(value is None or type(value) is STORED[name] for value in column)


def check_call(name: str, positional: tuple[Any, ...], named: dict[str, Any], schema: Schema) -> None:
    """Prove that a data method got what the contract promises."""
    match name, positional:
        case "write", (_, rows):
            check_rows(rows, schema)
            assert named.keys() == {"insert"}
            assert type(named["insert"]) is bool
        case "update", (_, selection, update):
            check_selection(selection)
            assert isinstance(update, Update)
            assert all(value is None or type(value) is STORED[key] for key, value in update.fields.items())
            assert all(text is None or json.dumps(json.loads(text)) for text in update.extra.values())
            assert update.vector is None or (update.vector.shape, update.vector.dtype.name) == ((3,), schema.dtype)
            assert update.text is None or (update.sets_text and type(update.text) is str)
        case "delete", (_, selection):
            check_selection(selection)
        case "fetch", (_, ids):
            check_selection(ids)
        case "page", (_, where, after, limit, include):
            check_filter(ALL if where is None else where)
            assert isinstance(include, frozenset)
            assert (after is None or type(after) is str, type(limit)) == (True, int)
        case "count", (_, where):
            check_filter(ALL if where is None else where)
        case "values", (_, field, where, limit):
            check_filter(ALL if where is None else where)
            assert field in schema.fields
            assert limit is None or limit > 0
        case "search", (_, search):
            check_search(search)
        case "tend", (_, None, measure):
            assert callable(measure)
            assert named == {}
        case "find", ():
            assert len(named) == 1
        case _:
            raise AssertionError(f"{name} was not expected with {positional} and {named}")


def check_search(search: Search) -> None:
    assert (search.queries.ndim, search.queries.shape[1], search.queries.dtype.name) == (2, 3, "float32")
    assert search.queries.flags.c_contiguous
    assert len(search.queries) > 0
    assert type(search.k) is int
    assert search.k > 0
    assert search.min_score is None or type(search.min_score) is float
    assert isinstance(search.include, frozenset)
    check_filter(ALL if search.where is None else search.where)
