"""Random filters on a real server: an expression matches what the filter matches, or there is no expression."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from vecstore import F, Filter, Schema, fields
from vecstore.backends.milvus.client import MilvusClient
from vecstore.backends.milvus.collection import Collection
from vecstore.backends.milvus.filters import compile_filter
from vecstore.filters.binding import bind
from vecstore.testing.corpus import list_accepted
from vecstore.testing.filter_equivalence import BOOKS, SCHEMA, VECTOR, conditions, holds

from .collections import open_collection

QUERY = np.array([VECTOR], np.float32)
EXAMPLES = 150
MANY = 3_000
AFTER = dict[str, int]()
"""By a collection's name the timestamp from which on all of its records are visible."""


@pytest.fixture(scope="module")
def books(client: MilvusClient) -> Iterator[Collection]:
    with open_collection(client, SCHEMA) as collection:
        columns = {
            name: [None if (value := book.metadata.get(name)) is None else field.encode(value) for book in BOOKS]
            for name, field in SCHEMA.fields.items()
        }
        after = collection.upsert(
            [book.id for book in BOOKS], np.tile(QUERY, (len(BOOKS), 1)), columns, [0] * len(BOOKS)
        )
        collection.settle(after)
        AFTER[collection.name] = after
        yield collection


def check(books: Collection, where: Filter) -> bool:
    """Compare one filter with plain Python; return whether there was an expression."""
    compiled = compile_filter(bind(where, SCHEMA), books.layout)
    if compiled is None:
        return False
    expected = {book.id for book in BOOKS if holds(where, book)}
    (found,) = books.search(QUERY, len(BOOKS), where=compiled, after=AFTER[books.name])
    assert set(found.ids) == expected, compiled
    return True


def run_filters(books: Collection, examples: int) -> tuple[int, int]:
    """Check random filters; return how many there were, and how many of these Milvus answered."""
    counts = [0, 0]

    @settings(
        deadline=None,
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(conditions())
    def compare(where: Filter) -> None:
        counts[0] += 1
        counts[1] += check(books, where)

    compare()
    return counts[0], counts[1]


def test_random_filters(books: Collection) -> None:
    drawn, compiled = run_filters(books, EXAMPLES)
    assert compiled > drawn / 2


@pytest.mark.long
def test_many_random_filters(books: Collection, record_property: Callable[[str, object], None]) -> None:
    drawn, compiled = run_filters(books, MANY)
    record_property("summary", f"{drawn} random filters on Milvus, {compiled} with an expression: no difference")


@pytest.mark.parametrize(
    "where",
    [
        F.whole == -(2**53), F.whole <= -(2**53), F.whole.in_([-(2**53), 2**53]), F.whole > 2**53 - 1,
        F.real < -1e308, F.real == 5e-324, F.real <= 5e-324, F.real > 1.7e308, F.real == 0.1 + 2**-56,
        F.real == 2.0**53, F.real.in_([0.1, -1e-300, 1.7e308]), F.yes == False, ~(F.yes == False),  # noqa: E712
        F.yes.in_([True, False]), F.word == "", F.word == "\x01", F.word.starts_with("a"), F.word.in_(["a", "A"]),
        F.tags.contains_all(["a", "A"]), F.tags.contains_any(["a", ""]), ~F.tags.contains_any(["a"]),
        F.tags.exists(), F.tags.is_missing(), F.at.exists() & ~(F.whole > 0), F.id.in_([BOOKS[0].id, "nobody"]),
    ],
    ids=str,
)  # fmt: skip
def test_edges(books: Collection, where: Filter) -> None:
    assert check(books, where)


def compare_literals(client: MilvusClient, words: list[str]) -> None:
    """Store strings as ids and as values, and find each of them by its literal and nothing else."""
    schema = Schema(dim=2, fields={"word": fields.Keyword()})
    with open_collection(client, schema) as collection:
        ids = [f"{number}" for number in range(len(words))]
        both, values = [*ids, *words], [*words, *([None] * len(words))]
        after = collection.upsert(both, np.tile(QUERY, (len(both), 1)), {"word": values}, [0] * len(both))
        for start in range(0, len(words), 20):
            part = words[start : start + 20]
            (by_id,) = collection.search(
                QUERY, 100, where=compile_known(F.id.in_(part), schema, collection), after=after
            )
            assert set(by_id.ids) == set(part)
            where = compile_known(F.word.in_(part), schema, collection)
            assert set(collection.search(QUERY, 100, where=where, after=after)[0].ids) == set(ids[start : start + 20])
        for number in range(0, len(words), 7):
            where = compile_known(F.word == words[number], schema, collection)
            assert collection.search(QUERY, 100, where=where, after=after)[0].ids == [f"{number}"], where


def compile_known(where: Filter, schema: Schema, collection: Collection) -> str:
    compiled = compile_filter(bind(where, schema), collection.layout)
    assert compiled is not None
    return compiled


def draw_words(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    signs = "\"'\\%_{}[]()$#`/*-\n\r\t\x01\x7f\x85\u2028ntux0é🙂"
    odd = ["".join(draw.choices(signs, k=draw.randrange(1, 12))) for _ in range(count)]
    free = ["".join(map(chr, draw.choices([*range(1, 0xD800), *range(0xE000, 0x11000)], k=5))) for _ in range(count)]
    found = dict.fromkeys([*odd, *free, *list_accepted(1, 500)])
    return [word for word in found if not word.isdigit()]


def test_literals(client: MilvusClient, seed: int) -> None:
    compare_literals(client, draw_words(150, seed))


@pytest.mark.long
def test_many_literals(client: MilvusClient, seed: int) -> None:
    compare_literals(client, draw_words(5_000, seed))
