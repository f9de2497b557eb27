"""Below the facade: records spread evenly over the order of their ids, the same ones on every backend."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from .. import registry
from ..backend import Backend, Entry, Generation, Rows
from ..filters.nodes import ALL, And, Compare, Filter, Not, Or
from .backend_level import BackendLevel, make_rows, new_generation
from .corpus import list_accepted
from .sample_records import LANGS, make_book

COUNT = 230


class SampleTests(BackendLevel):
    """`Backend.sample` draws what the oracle draws."""

    @pytest.fixture
    def oracle(self) -> tuple[Backend, Generation]:
        """Return a store in memory for the same writes."""
        backend = registry.connect("memory:")
        return backend, backend.create("docs", new_generation()).active

    @pytest.fixture
    def both(self, backend: Backend, entry: Entry, oracle: tuple[Backend, Generation]) -> Both:
        """Return both stores, filled in several steps, with removed and replaced records among the rest."""
        pair = Both([(backend, entry.active), oracle])
        ids = random.Random(1).sample(list_accepted(1, 512), COUNT)
        for start in (0, 100, 200):
            pair.write(ids[start : start + 100], start)
        pair.delete(ids[::4])
        pair.write(ids[::12], 700)
        return pair

    def test_random_filters_and_sizes(self, both: Both, seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(150):
            both.check(random_filter(draw), draw.choice([1, 2, 3, 10, 50, 192, 193, 500]))

    def test_all_of_them_in_the_order_of_ids(self, both: Both) -> None:
        found = both.check(None, 10_000)
        assert list(found.ids) == sorted(found.ids, key=str.encode)
        assert len(found) == both.count()
        assert both.check(ALL, both.count()).ids == found.ids

    def test_spread_evenly(self, both: Both) -> None:
        everything = both.check(None, 10_000).ids
        for size in (1, 7, 100, len(everything) - 1):
            places = [number * len(everything) // size for number in range(size)]
            assert both.check(None, size).ids == [everything[place] for place in places]

    def test_nothing_matches(self, both: Both) -> None:
        assert len(both.check(Compare("year", "lt", 0), 5)) == 0

    def test_an_empty_store(self, backend: Backend, entry: Entry) -> None:
        found = backend.sample(entry.active, None, 5)
        assert (len(found), found.vectors is not None and found.vectors.shape) == (0, (0, 4))


class Both:
    """The same writes to two backends, and the same samples from them."""

    def __init__(self, stores: Sequence[tuple[Backend, Generation]]) -> None:
        self._stores = stores

    def write(self, ids: Sequence[str], start: int) -> None:
        """Write books under these ids."""
        batch = make_rows(*(make_book(start + number, id=id_) for number, id_ in enumerate(ids)))
        for backend, generation in self._stores:
            backend.write(generation, batch, insert=False)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records."""
        for backend, generation in self._stores:
            backend.delete(generation, ids)

    def count(self) -> int:
        """Return how many there are."""
        backend, generation = self._stores[0]
        return backend.count(generation, None)

    def check(self, where: Filter | None, size: int) -> Rows:
        """Draw on both sides and compare every column."""
        found, truth = (backend.sample(generation, where, size) for backend, generation in self._stores)
        assert list(found.ids) == list(truth.ids)
        assert found.vectors is not None
        assert np.array_equal(found.vectors, truth.vectors)  # type: ignore[arg-type]
        for column in ("texts", "extras", "versions"):
            assert list(getattr(found, column)) == list(getattr(truth, column))
        assert {name: list(values) for name, values in (found.fields or {}).items()} == truth.fields
        return found


def random_filter(draw: random.Random) -> Filter | None:
    """Return a bound filter on books that matches any share of them."""
    leaves: list[Filter] = [
        ALL,
        Compare("lang", "eq", draw.choice(LANGS)),
        Compare("year", "gte", draw.randrange(1999, 2022)),
        Compare("price", "lt", draw.randrange(240) / 2),
        Compare("tags", "contains_any", (f"t{draw.randrange(6)}",)),
        Compare("at", "exists", True),
        Compare("id", "in", tuple(draw.sample(list_accepted(1, 512), 40))),
    ]
    one, two = draw.sample(leaves, 2)
    return draw.choice([None, one, Not(one), And((one, two)), Or((one, Not(two)))])
