"""The backends side by side: one set of records, and the same filters and searches on all of them at once.

The suite compares each backend with plain Python. Here their answers are compared with one another, on the demo's
texts and embeddings, with metadata that are hard to store.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.places import BACKENDS, make_place
from tests.cli.places import postgres_server as postgres_server
from tests.cli.places import postgres_url as postgres_url
from tests.cli.places import redis_server as redis_server
from tests.places import MemoryPlace
from tests.sources import ROOT
from vecstore import HNSW, Filter, Flat, Hits, Metric, Record, VectorStore
from vecstore.embedders import WordLlamaEmbedder
from vecstore.testing import undeclared_equivalence as undeclared
from vecstore.testing.example_counts import LONG
from vecstore.testing.filter_equivalence import IDS, conditions, drawn_metadata

EVERY = ("memory", *BACKENDS)
TOLERANCE = 1e-5
RECORDS, QUERIES = 1_200, 40
USUAL = 150
LEAST_RECALL = 0.9
"""Far below what is seen (0.94 to 1.0): Redis builds another graph in each run."""

Stores = Mapping[str, VectorStore]


def read_demo() -> Sequence[str]:
    """Return texts as the demo makes them of the standard library's docstrings."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        entries = importlib.import_module("python_docs").read_standard_library()
    finally:
        sys.path.pop(0)
    return [f"{entry.name}\n{entry.summary}" for entry in entries]


@pytest.fixture(scope="module")
def texts() -> Sequence[str]:
    found = read_demo()
    return found[:: len(found) // (RECORDS + QUERIES)][: RECORDS + QUERIES]


@pytest.fixture(scope="module")
def vectors(texts: Sequence[str]) -> Any:
    return WordLlamaEmbedder().embed_documents(texts)


@pytest.fixture(scope="module")
def queries(vectors: Any) -> Any:
    return vectors[RECORDS:]


@pytest.fixture(scope="module")
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, texts: Sequence[str], vectors: Any
) -> Iterator[Stores]:
    ids = [*IDS, *(f"record-{number}" for number in range(len(IDS), RECORDS))]
    records = [
        Record(id_, vector, text, {**undeclared.draw_undeclared(), **drawn_metadata()})
        for id_, vector, text in zip(ids, vectors, texts, strict=False)
    ]
    schema = replace(undeclared.DYNAMIC, dim=vectors.shape[1], metric=Metric.COSINE, index=Flat())
    with ExitStack() as stack:
        found = {}
        for backend in EVERY:
            directory = tmp_path_factory.mktemp(backend)
            place = MemoryPlace() if backend == "memory" else make_place(backend, request, directory)
            stack.enter_context(closing(place))
            db = place.connect() if backend == "memory" else stack.enter_context(place.connect())
            found[backend] = db.create("docs", schema)
            found[backend].insert(records)
        yield found


def assert_same(one: Hits, other: Hits) -> None:
    """Compare two exact answers: equal scores within the tolerance, other ids only among those as near as the last."""
    assert len(one) == len(other)
    assert one.exact
    assert one.complete == other.complete
    scores = {hit.id: hit.score for hit in other}
    last = min((hit.score for hit in one), default=0.0)
    for hit, counterpart in zip(one, other, strict=True):
        assert abs(hit.score - counterpart.score) <= 2 * TOLERANCE
        if hit.id in scores:
            assert abs(hit.score - scores[hit.id]) <= 2 * TOLERANCE
        else:
            assert hit.score <= last + 2 * TOLERANCE


def assert_agreement(answers: Mapping[str, Hits]) -> None:
    for one, other in permutations(answers, 2):
        assert_same(answers[one], answers[other])


def test_digests_agree(stores: Stores) -> None:
    assert len({store.digest() for store in stores.values()}) == 1


def test_random_filters_and_searches(stores: Stores, queries: Any, record_property: Any) -> None:
    examples = LONG.filters if settings().max_examples > 100 else USUAL
    record_property("summary", f"{examples} random filters and searches on {len(stores)} backends: no difference")

    @settings(
        deadline=None,
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        where=conditions(undeclared.ANY),
        number=st.integers(0, QUERIES - 1),
        k=st.sampled_from([1, 10, 50]),
        offset=st.sampled_from([0, 0, 7]),
        floor=st.sampled_from([None, None, 0.2]),
    )
    def check(where: Filter, number: int, k: int, offset: int, floor: float | None) -> None:
        counts = {backend: store.count(where) for backend, store in stores.items()}
        assert len(set(counts.values())) == 1, counts
        assert_agreement(
            {
                backend: store.search(
                    queries[number], k, offset=offset, where=where, min_score=floor, exact=True, include=()
                )
                for backend, store in stores.items()
            }
        )

    check()


def test_what_other_calls_return_agrees(stores: Stores) -> None:
    for ask in (
        lambda store: [(record.id, record.text, repr(sorted(record.metadata.items()))) for record in store.scan()],
        lambda store: [store.values(name) for name in store.schema.fields],
        lambda store: store.values("n"),
        lambda store: sorted((key.name, key.count) for key in store.keys()),  # noqa: SIM118
        lambda store: [np.asarray(record.vector).tobytes() for record in store.get(IDS)],
        lambda store: store.digest({"yes": True}),
    ):
        memory, *others = (ask(store) for store in stores.values())
        assert all(other == memory for other in others)


def test_similar_records_and_many_queries_agree(stores: Stores, queries: Any) -> None:
    for id_ in IDS[:20]:
        assert_agreement({name: store.similar_to(id_, 10, exact=True) for name, store in stores.items()})
    many = {name: store.search_many(queries, 10, exact=True) for name, store in stores.items()}
    for number in range(QUERIES):
        assert_agreement({name: answers[number] for name, answers in many.items()})


@pytest.mark.filterwarnings("ignore::vecstore.UnusedIndexWarning")
def test_graphs_find_what_an_exact_search_finds(stores: Stores, queries: Any) -> None:
    """Each backend's own graph; the order of tests leaves it to the last one to build them."""
    truth = stores["memory"].search_many(queries, 10, exact=True, include=())
    for name, store in stores.items():
        store.reindex(HNSW(m=16, ef_construction=100))
        found = store.search_many(queries, 10, include=())
        shares = [len({hit.id for hit in a} & {hit.id for hit in b}) / 10 for a, b in zip(found, truth, strict=True)]
        assert np.mean(shares) >= LEAST_RECALL, name
