from __future__ import annotations

import numpy as np
import pytest

from vecstore.backend import Found, Rows, Search
from vecstore.backends.shared.recheck import find_disagreement

SAMPLE = Rows([str(n) for n in range(10)], np.eye(10, dtype=np.float32), None, None, None)


def answers(search: Search, right: int, *, exact: bool = False) -> list[Found]:
    """Return the best hit of every query, which a walk finds for some of them only."""
    scores = [1.0 if search.exact or number < right else 0.2 for number in range(len(search.queries))]
    rows = Rows(["x"], None, None, None, None)
    return [Found(rows, np.array([score]), exact=exact or search.exact) for score in scores]


@pytest.mark.parametrize("right", [0, 4])
def test_a_graph_that_loses_most_of_what_is_stored_is_named(right: int) -> None:
    said = find_disagreement(SAMPLE, lambda search: answers(search, right))
    assert said == f"the index finds {right} of 10 stored vectors: reindex()"


def test_a_graph_that_finds_most_is_none_to_complain_about() -> None:
    assert find_disagreement(SAMPLE, lambda search: answers(search, 9)) is None


def test_nothing_is_said_of_a_store_without_a_graph() -> None:
    assert find_disagreement(SAMPLE, lambda search: answers(search, 0, exact=True)) is None
