from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from vecstore import F, InvalidArgument, InvalidFilter, InvalidQuery, Metric, Schema, fields
from vecstore.backend import Found, Include, Rows, Search
from vecstore.hits import Hit, make_hits
from vecstore.queries import check_arguments, clip_threshold, compile_search, read_plain_query

SCHEMA = Schema(dim=2, metric="l2", fields={"n": fields.Int()})
MATRIX = np.zeros((1, 2), np.float32)


def search(k: int = 10, min_score: float | None = None, include: Include = frozenset()) -> Search:
    return Search(MATRIX, k, min_score=min_score, include=include)


def found(ids: Sequence[str], scores: Sequence[float], *, complete: bool = True) -> Found:
    count = len(ids)
    rows = Rows(ids, np.ones((count, 2), np.float32), ["text"] * count, {"n": [7] * count}, ['{"x":1}'] * count)
    return Found(rows, np.array(scores, np.float64), exact=True, complete=complete)


def test_hits_are_put_in_order() -> None:
    ids, scores = ["b", "é", "z", "Z", "a", "e\u0301"], [-1.0, -1.0, 0.0, -1.0, -1.0, -2.0]
    assert [hit.id for hit in make_hits(found(ids, scores), search(), SCHEMA)] == ["z", "Z", "a", "b", "é", "e\u0301"]
    assert [hit.id for hit in make_hits(found(ids, scores), search(3), SCHEMA)] == ["z", "Z", "a"]


def test_min_score_is_inclusive() -> None:
    answer = found(["a", "b", "c"], [-1.0, -2.0, -3.0])
    assert [hit.id for hit in make_hits(answer, search(min_score=-2.0), SCHEMA)] == ["a", "b"]


def test_an_answer_of_k_hits_is_complete() -> None:
    short = found(["a", "b"], [-1.0, -2.0], complete=False)
    assert not make_hits(short, search(3), SCHEMA).complete
    assert make_hits(short, search(2), SCHEMA).complete
    assert not make_hits(short, search(2, min_score=-1.0), SCHEMA).complete
    assert make_hits(found([], []), search(), SCHEMA).complete


def test_a_page_is_cut_after_the_threshold() -> None:
    answer = found(list("abcdef"), [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0])
    page = make_hits(answer, search(4, min_score=-3.5), SCHEMA, 2)
    assert ([hit.id for hit in page], page.complete) == (["c"], True)
    assert [hit.id for hit in make_hits(answer, search(4), SCHEMA, 2)] == ["c", "d"]
    assert len(make_hits(answer, search(8), SCHEMA, 7)) == 0


def test_an_index_proves_nothing_below_a_threshold() -> None:
    answer = replace(found(["a", "b"], [-1.0, -2.0]), exact=False)
    assert make_hits(answer, search(3), SCHEMA).complete
    assert not make_hits(answer, search(3, min_score=-5.0), SCHEMA).complete
    assert not make_hits(answer, search(2, min_score=-1.5), SCHEMA).complete
    assert make_hits(answer, search(2, min_score=-2.0), SCHEMA).complete


def test_a_hit_is_json_whatever_it_holds() -> None:
    values = {
        "at": datetime(2024, 1, 2, tzinfo=UTC), "count": np.int64(3), "ratio": np.float32(0.5), "yes": np.bool_(True),
        "deep": [{"at": datetime(2024, 1, 2, tzinfo=UTC)}, (1, None)], "none": None,
    }  # fmt: skip
    hit = Hit("a", 0.5, 0.5, "text", values, np.array([0.5, 2], np.float16))
    assert json.loads(json.dumps(hit.to_dict())) == {
        "id": "a", "score": 0.5, "distance": 0.5, "text": "text",
        "metadata": {
            "at": "2024-01-02T00:00:00+00:00", "count": 3, "ratio": 0.5, "yes": True,
            "deep": [{"at": "2024-01-02T00:00:00+00:00"}, [1, None]], "none": None,
        },
        "vector": [0.5, 2.0],
    }  # fmt: skip


def test_a_hit_carries_what_was_asked_for() -> None:
    answer = found(["a"], [-1.5])
    bare = make_hits(answer, search(), SCHEMA)[0]
    assert (bare.text, bare.metadata, bare.vector) == (None, None, None)
    full = make_hits(answer, search(include=frozenset(("text", "metadata", "vector"))), SCHEMA)[0]
    assert (full.text, full.metadata, full.score, full.distance) == ("text", {"n": 7, "x": 1}, -1.5, 1.5)
    assert full.vector is not None
    assert full.vector.tolist() == [1, 1]


def test_a_search_is_compiled_with_its_filter_bound() -> None:
    options: dict[str, Any] = {
        "k": 3,
        "min_score": np.float32(-0.5),
        "ef": None,
        "exact": False,
        "include": frozenset(),
    }
    assert compile_search(MATRIX, SCHEMA, where=None, **options).where is None
    assert compile_search(MATRIX, SCHEMA, where={"n": 1}, **options).where == (F.n == 1)
    assert type(compile_search(MATRIX, SCHEMA, where=None, **options).min_score) is float
    with pytest.raises(InvalidFilter):
        compile_search(MATRIX, SCHEMA, where={}, **options)


@pytest.mark.parametrize(
    "metric, score, expected",
    [
        ("cosine", 1 + 5e-7, 1.0),
        ("cosine", -1 - 5e-7, -1.0),
        ("cosine", np.nextafter(1.0, 2), 1.0),
        ("cosine", 0.25, 0.25),
        ("l2", 0, 0.0),
        ("l2", -1e300, -1e300),
        ("ip", 1e300, 1e300),
    ],
)
def test_a_threshold_within_the_range(metric: str, score: float, expected: float) -> None:
    clipped = clip_threshold(score, Metric(metric))
    assert (clipped, type(clipped)) == (expected, float)


@pytest.mark.parametrize(
    "metric, score, shown",
    [
        ("cosine", 80, "min_score is 80, but scores of the metric cosine are from -1 to 1."),
        ("cosine", -1.00001, "min_score is -1.00001, but scores of the metric cosine are from -1 to 1."),
        ("l2", 0.8, "min_score is 0.8, but scores of the metric l2 are 0 and below: the negative distance."),
    ],
)
def test_a_threshold_outside_the_range(metric: str, score: float, shown: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        clip_threshold(score, Metric(metric))
    assert str(caught.value) == shown


def test_an_array_that_is_plainly_right_is_taken_as_it_is() -> None:
    for query in (np.array([1, 2], np.float32), np.array([1, 0, 2, 0], np.float32)[::2]):
        matrix = read_plain_query([query], SCHEMA)
        assert matrix is not None
        assert matrix.flags.c_contiguous
        assert matrix.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "query",
    [
        [1.0, 2.0],
        "text",
        np.ones(2),
        np.ones(2, ">f4"),
        np.ones(3, np.float32),
        np.ones((1, 2), np.float32),
        *(
            np.array(values, np.float32)
            for values in ((0, 0), (np.nan, 1), (np.inf, -np.inf), (3e38, 3e38), (1e-20, 0))
        ),
    ],
)
def test_everything_else_is_looked_at(query: Any) -> None:
    assert read_plain_query([query], SCHEMA) is None
    half = Schema(dim=2, dtype="float16")
    assert read_plain_query([np.ones(2, np.float32)], half) is None


def test_good_arguments() -> None:
    for k in (0, 1, 10_000, np.int32(5)):
        check_arguments(int(k), None, None, ())
    for score in (0, -1.5, np.float32(0.5), np.int8(-1), 1e308):
        check_arguments(1, score, 1, ["text"])  # type: ignore[arg-type]
    assert check_arguments(1, None, 1_000, ["text", "vector", "text"]) == {"text", "vector"}


@pytest.mark.parametrize(
    "wrong, named",
    [
        *(((k, None, None, ()), "k must") for k in (-1, 10_001, 2.0, True, "3", None)),
        *(((1, score, None, ()), "min_score") for score in (True, "0", float("nan"), float("inf"), 10**400, 1j)),
        *(((1, None, ef, ()), "ef must") for ef in (0, 1_001, 2.5, True, "x")),
        *(((1, None, None, include), "include") for include in ("text", ["text", "id"], None, 5)),
    ],
)
def test_bad_arguments(wrong: Any, named: str) -> None:
    with pytest.raises(InvalidArgument, match=named):
        check_arguments(*wrong)
