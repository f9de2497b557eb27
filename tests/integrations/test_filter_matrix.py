"""Random filters of each framework find on every backend what the framework's own evaluator finds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from haystack.errors import FilterError

from tests.integrations.evaluators import FRAMEWORKS
from tests.integrations.filter_matrix import (
    METADATA,
    Condition,
    Framework,
    check_filters,
    draw_condition,
    judge,
    read_stored,
)
from tests.sources import ROOT
from vecstore import Database, InvalidFilter, connect

EVERY = pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.name)
SLICE, CAMPAIGN = 75, 5_000


@EVERY
def test_random_filters(framework: Framework, database: Database, name: str, seed: int) -> None:
    check_filters(framework, database, name, seed, SLICE)


@pytest.mark.long
@EVERY
def test_many_random_filters(
    framework: Framework, database: Database, name: str, seed: int, note: Callable[[str], None]
) -> None:
    seen = check_filters(framework, database, name, seed, CAMPAIGN)
    note(f"{CAMPAIGN} filters of {framework.name} on {database.capabilities.backend}: only the named differences")
    assert set(seen) == {each.name for each in framework.differences}


@EVERY
def test_every_difference_is_one(framework: Framework) -> None:
    draw, seen = random.Random("differences"), Counter[str]()
    for _ in range(1_500):
        condition = draw_condition(draw, framework)
        for number, metadata in enumerate(METADATA):
            stored = read_stored(condition.path, metadata)
            for difference in framework.differences if stored is not None else ():
                if difference.applies(condition, stored):
                    seen[difference.name] += not agrees(framework, condition, number, stored)
                    break
    assert {name for name, count in seen.items() if count} == {each.name for each in framework.differences}


def agrees(framework: Framework, condition: Condition, number: int, stored: Any) -> bool:
    try:
        return framework.evaluate(condition, number) == judge(condition, stored)
    except (TypeError, ValueError, FilterError):  # the framework gives no answer at all
        return False


@EVERY
def test_what_is_refused(framework: Framework) -> None:
    with connect("memory:") as database:
        find = framework.fill(database, "refused")
        for filters in framework.refusals.values():
            with pytest.raises((InvalidFilter, FilterError)):
                find(filters)


@EVERY
def test_the_page_names_every_difference(framework: Framework) -> None:
    page = " ".join((ROOT / framework.page).read_text("utf-8").split())
    assert [each.name for each in framework.differences if each.name not in page] == []
    assert [name for name in framework.refusals if name not in page] == []
