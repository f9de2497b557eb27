"""What no message, representation or log line may hold: texts, vectors, metadata values."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from .. import fields
from ..database import Database
from ..errors import VecstoreError
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

SECRET = "nightingale-4711"  # noqa: S105 - what the tests look for
SECRETS = (SECRET, "nightingale", "4711", "0.8765", "8765", "31337")
NUMBER = 0.87654321
WHOLE = 31_337
VECTOR = [NUMBER, 1.0]
_DRAWN = re.compile(r"(?<![0-9a-z])(?=[0-9]*[a-f])(?:[0-9a-f]{16}){1,2}(?![0-9a-z])")
"""Ids of generations and of places, which are drawn: one in a thousand has the digits of a secret in it."""
SCHEMA = Schema(
    dim=2,
    index=Flat(),
    fields={
        "word": fields.Keyword(),
        "tags": fields.Keywords(),
        "whole": fields.Int(),
        "real": fields.Float(),
        "yes": fields.Bool(),
        "at": fields.DateTime(),
    },
)
LONG, BROKEN, CUT = SECRET * 100, SECRET + "\ud800", SECRET + "\0"
VALUES: dict[str, list[Any]] = {
    "word": [WHOLE, NUMBER, [SECRET], LONG, BROKEN, CUT, SECRET.encode(), {SECRET: SECRET}],
    "tags": [SECRET, [WHOLE], [NUMBER], [LONG], [BROKEN], [CUT], {SECRET}, [[SECRET]], [SECRET] * 1001],
    "whole": [SECRET, NUMBER, [WHOLE], WHOLE * 10**20, {SECRET: WHOLE}],
    "real": [SECRET, [NUMBER], WHOLE * 10**400, complex(NUMBER, 1)],
    "yes": [SECRET, NUMBER, WHOLE],
    "at": [SECRET, NUMBER, WHOLE, "2024-13-" + SECRET],
    "other": [
        {SECRET}, SECRET.encode(), [{"in": SECRET.encode()}], BROKEN, [CUT], complex(NUMBER, 1), WHOLE * 10**5000,
        [SECRET, float("nan")], {"in": {1: SECRET}}, [LONG] * 1000,
    ],
}  # fmt: skip
VECTORS: list[Any] = [
    [NUMBER], [NUMBER] * 3, [NUMBER, float("nan")], [NUMBER, float("inf")], [NUMBER, 1e39], [NUMBER * 1e-20, 0.0],
    [NUMBER * 1e20, 0.0], [SECRET, SECRET], [[NUMBER], NUMBER], [NUMBER, None], [complex(NUMBER, 1), 1],
    {SECRET: NUMBER},
    [WHOLE * 10**400, NUMBER], SECRET.encode(), [WHOLE * 10**60, 1],
]  # fmt: skip


class SecrecyTests(Places):
    """Errors are logged by those who catch them, with their causes: whatever they print is public."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        store = db.create("private", SCHEMA)
        store.insert([Record("known", VECTOR, SECRET, {"word": SECRET, "whole": WHOLE, "other": SECRET})])
        return store

    def test_errors(self, store: VectorStore, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        calls = [*metadata_calls(store), *vector_calls(store), *filter_calls(store), *other_calls(store)]
        for call in calls:
            with pytest.raises(VecstoreError) as caught:
                call()
            assert find_leaks(printed(caught.value)) == []
            assert find_leaks(f"{caught.value!r} {caught.value.args!r} {vars(caught.value)!r}") == []
        assert find_leaks(caplog.text) == []

    def test_representations(self, db: Database, store: VectorStore, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        hits = store.search(VECTOR, include=["text", "metadata", "vector"])
        shown = [db, store, store.schema, hits, hits[0], hits[:1], store.get(["known"]), list(store.scan())]
        shown += [store.index_status(), store.stats(), store.verify(), store.measure_recall()]
        assert find_leaks(repr(shown)) == []
        assert find_leaks(str(shown)) == []
        assert find_leaks(caplog.text) == []


def find_leaks(text: str) -> list[str]:
    shown = _DRAWN.sub("#", text)
    return [secret for secret in SECRETS if secret in shown]


def printed(error: BaseException) -> str:
    """Return what a log shows of an error, without the lines of code."""
    shown = traceback.TracebackException.from_exception(error)
    parts: list[str] = []
    chain: list[traceback.TracebackException | None] = [shown]
    while chain:
        each = chain.pop()
        if each is not None:
            parts += each.format_exception_only()
            chain += [each.__cause__, None if each.__suppress_context__ else each.__context__]
    return "".join(parts)


def metadata_calls(store: VectorStore) -> list[Callable[[], object]]:
    calls: list[Callable[[], object]] = []
    for name, values in VALUES.items():
        for value in values:
            record = Record("new", VECTOR, SECRET, {name: value})
            calls.append(lambda record=record: store.upsert([record]))  # type: ignore[misc]
            calls.append(lambda name=name, value=value: store.update(where=ALL, metadata={name: value}))  # type: ignore[misc]
    for text in (BROKEN, CUT, SECRET.encode(), [SECRET]):
        record = Record("new", VECTOR, text)  # type: ignore[arg-type]
        calls.append(lambda record=record: store.insert([record]))  # type: ignore[misc]
    return calls


def vector_calls(store: VectorStore) -> list[Callable[[], object]]:
    calls: list[Callable[[], object]] = []
    for vector in VECTORS:
        calls.append(lambda vector=vector: store.upsert([Record("new", vector, SECRET)]))  # type: ignore[misc]
        calls.append(lambda vector=vector: store.update(where=ALL, vector=vector))  # type: ignore[misc]
        calls.append(lambda vector=vector: store.search(vector))  # type: ignore[misc]
        calls.append(lambda vector=vector: store.search_many([VECTOR, vector]))  # type: ignore[misc]
    return calls


def filter_calls(store: VectorStore) -> list[Callable[[], object]]:
    calls: list[Callable[[], object]] = []
    for name, values in VALUES.items():
        for value in values:
            if name == "whole" and value is NUMBER:  # A fraction equals no Int, which is an answer.
                continue
            if name == "tags":
                where = F.tags.contains_any([value]) if not isinstance(value, str) else F.tags.contains([value])
            else:
                where = F[name].in_(["x", value]) if name == "word" else F[name] == value
            calls.append(lambda where=where: store.count(where))  # type: ignore[misc]
            calls.append(lambda where=where: store.delete(where=~where))  # type: ignore[misc]
    return calls


def other_calls(store: VectorStore) -> list[Callable[[], object]]:
    good = Record("new", VECTOR, SECRET, {"word": SECRET})
    return [
        lambda: store.search(SECRET),
        lambda: store.search_many([SECRET]),
        lambda: store.upsert([Record("new", text=SECRET)]),
        lambda: store.update(where=ALL, text=SECRET),
        lambda: store.insert([good, good]),
        lambda: store.insert([good, Record("known", VECTOR, SECRET)]),
        lambda: store.upsert([good, Record("bad", [NUMBER])], batch_size=1),
        lambda: store.upsert([good, SECRET]),  # type: ignore[list-item]
        lambda: store.upsert(good),  # type: ignore[arg-type]
        *(
            lambda name=name, wrong=wrong: store.search(VECTOR, **{name: wrong})
            for name in ("k", "min_score", "ef", "exact")
            for wrong in (SECRET, [SECRET], VECTOR, WHOLE * 10**5000, np.array(VECTOR))
        ),
        *(lambda wrong=wrong: store.search(VECTOR, include=[wrong]) for wrong in (VECTOR, (SECRET,), {SECRET})),
        *(lambda wrong=wrong: store.upsert([], batch_size=wrong) for wrong in (SECRET, VECTOR)),
        lambda: store.using(SECRET),
    ]
