"""Random filters of a framework against that framework's own evaluator: what is drawn, and how answers are compared.

A condition on one value is judged by the framework, unless a named difference applies. Groups are judged by it too,
where it can and no difference applies.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import ge, gt, le, lt
from typing import Any, ClassVar

from vecstore import Database
from vecstore.testing.undeclared_equivalence import are_equal, has_item, is_as_large, is_less, is_number

DOCUMENTS = 40
DEPTH = 3
ORDERS: Mapping[str, Callable[[Any, Any], Any]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
EDGE = 2**53
WORDS = ["a", "A", "apple", "pear", "Ä", "ä", "", "%", "a_b", "it's", "1", "True", "None", "2024"]
DATES = [
    "2024-01-31", "2024-02-01", "2023-12-31", "2024-01-31T09:30:00", "2024-01-31T10:30:00", "2024-01-31T09:30:00+00:00",
    "2024-01-31T10:30:00+01:00",
]  # fmt: skip
NUMBERS: list[Any] = [0, 1, -1, 2, 1.0, 0.5, -0.0, 2.5, EDGE, EDGE + 1, -EDGE - 1, 1e30, 10**30]
PATHS: list[tuple[str, ...]] = [
    ("n",), ("word",), ("tags",), ("flag",), ("when",), ("any",), ("Page Number",), ("id",), ("absent",), ("o", "n"),
    ("o", "p"), ("o",),
]  # fmt: skip
_DRAW = random.Random("one set of documents for all frameworks and backends")


@dataclass(frozen=True)
class Condition:
    """A comparison of the value at a path."""

    path: tuple[str, ...]
    operator: str
    value: Any


@dataclass(frozen=True)
class Group:
    """Conditions that are joined by ``and``, ``or`` or ``not``."""

    word: str
    items: tuple[Condition | Group, ...]


@dataclass(frozen=True)
class Difference:
    """Where vecstore's answer is not the framework's, on purpose. The page about the framework has its name."""

    name: str
    applies: Callable[[Condition, Any], bool]


class Framework(ABC):
    """How filters are spelled in a framework, and what it takes them for."""

    name: ClassVar[str]
    page: ClassVar[str]
    operators: ClassVar[Sequence[str]]
    paths: ClassVar[Sequence[tuple[str, ...]]] = PATHS
    most: ClassVar[Mapping[str, int]] = {"and": 3, "or": 3, "not": 3}
    has_empty_groups: ClassVar[bool] = False
    differences: ClassVar[Sequence[Difference]]
    refusals: ClassVar[Mapping[str, Any]] = {}
    """Filters that vecstore refuses although the framework answers, by what the page says of them."""

    @abstractmethod
    def can_spell(self, condition: Condition) -> bool:
        """Say whether the framework and vecstore both take the condition."""

    @abstractmethod
    def spell(self, tree: Condition | Group) -> Any:
        """Return the framework's own filter."""

    @abstractmethod
    def evaluate(self, tree: Condition | Group, number: int) -> bool | None:
        """Return what the framework says of a document, None where it has no word for such a group; it may raise."""

    @abstractmethod
    def combine(self, word: str, answers: Sequence[bool]) -> bool:
        """Return what a group says if its items say this."""

    @abstractmethod
    def fill(self, database: Database, name: str) -> Callable[[Any], set[str]]:
        """Write the documents, and return a function from a filter to the ids that it finds."""

    def select(self, holds: Callable[[int], bool]) -> set[str]:
        """Return the ids of the documents of which a condition is true."""
        return {id_ for number, id_ in enumerate(IDS) if holds(number)}


def draw_scalar(draw: random.Random) -> Any:
    return draw.choice(draw.choice([NUMBERS, NUMBERS, WORDS, WORDS, DATES, [True, False]]))


def draw_stored(draw: random.Random) -> Any:
    kind = draw.random()
    if kind < 0.7:
        return draw_scalar(draw)
    if kind < 0.9:
        return [draw.choice([draw_scalar(draw), None]) for _ in range(draw.randrange(4))]
    return draw.choice([None, {}, {"n": 1}, {"a": None}])


def draw_metadata(draw: random.Random) -> dict[str, Any]:
    found = {
        "n": draw.choice(NUMBERS), "word": draw.choice(WORDS), "flag": draw.random() < 0.5, "when": draw.choice(DATES),
        "tags": draw.choices([*WORDS[:5], 1, True], k=draw.randrange(4)), "any": draw_stored(draw),
        "Page Number": draw_stored(draw), "id": draw_stored(draw),
        "o": {"n": draw_stored(draw), "p": draw.choice(WORDS)},
    }  # fmt: skip
    return {key: value for key, value in found.items() if draw.random() < 0.8}


METADATA = [draw_metadata(_DRAW) for _ in range(DOCUMENTS)]
IDS = [f"d{number:02}" for number in range(DOCUMENTS)]


def draw_condition(draw: random.Random, framework: Framework) -> Condition:
    while True:
        operator = draw.choice(framework.operators)
        if operator in {"in", "nin", "any", "all"}:
            pool = draw.choice([NUMBERS[:8], WORDS, DATES, [*WORDS, *NUMBERS, True, None]])
            value: Any = draw.choices(pool, k=draw.randrange(4))
        elif operator in {"text", "text_any_case"}:
            value = draw.choice(["a", "P", "e", "%", "_", "Ä", "2024", "app", "-01-"])
        elif operator in ORDERS:
            value = draw.choice(draw.choice([NUMBERS, NUMBERS, DATES, WORDS]))
        else:
            value = draw.choice([draw_scalar(draw), draw_scalar(draw), draw_scalar(draw), draw_stored(draw)])
        condition = Condition(draw.choice(framework.paths), operator, value)
        if framework.can_spell(condition):
            return condition


def draw_tree(draw: random.Random, framework: Framework, depth: int = DEPTH) -> Condition | Group:
    if depth == 0 or draw.random() < 0.3:
        return draw_condition(draw, framework)
    word = draw.choice(list(framework.most))
    count = 0 if framework.has_empty_groups and draw.random() < 0.05 else draw.randint(1, framework.most[word])
    return Group(word, tuple(draw_tree(draw, framework, depth - 1) for _ in range(count)))


def read_stored(path: Sequence[str], metadata: Any) -> Any:
    return reduce(lambda found, key: found.get(key) if isinstance(found, dict) else None, path, metadata)


def judge(condition: Condition, stored: Any) -> bool:
    """Return vecstore's answer for a value that is there, from its own words about undeclared keys."""
    value = condition.value
    match condition.operator:
        case "eq" | "ne":
            return are_equal(stored, value) == (condition.operator == "eq")
        case "in" | "nin":
            return any(are_equal(stored, each) for each in value) == (condition.operator == "in")
        case "contains":
            return has_item(stored, value)
        case "any":
            return any(has_item(stored, each) for each in value)
        case "all":
            return all(has_item(stored, each) for each in value)
        case "gt" | "lt":
            return is_less(*((value, stored) if condition.operator == "gt" else (stored, value)))
        case "gte" | "lte":
            return is_as_large(*((stored, value) if condition.operator == "gte" else (value, stored)))
    return isinstance(stored, str) and value in stored


def list_pairs(condition: Condition, stored: Any) -> list[tuple[Any, Any]]:
    """Return the values that a condition compares for equality."""
    value = condition.value
    match condition.operator:
        case "eq" | "ne":
            return [(stored, value)]
        case "in" | "nin":
            return [(stored, each) for each in value]
        case "contains" | "any" | "all":
            wanted = [value] if condition.operator == "contains" else value
            return [(item, each) for item in (stored if isinstance(stored, list) else []) for each in wanted]
    return []


def has_bool_for_number(condition: Condition, stored: Any) -> bool:
    if condition.operator in ORDERS:
        return isinstance(stored, bool) and is_number(condition.value)
    return any(
        one == other and not are_equal(one, other) and ("True" in f"{one}{other}" or "False" in f"{one}{other}")
        for one, other in list_pairs(condition, stored)
    )


def has_number_beyond(condition: Condition, stored: Any) -> bool:
    if condition.operator in ORDERS:
        value = condition.value
        return is_number(stored) and is_number(value) and (stored == value) != are_equal(stored, value)
    return any(one != other and are_equal(one, other) for one, other in list_pairs(condition, stored))


def has_other_class(condition: Condition, stored: Any) -> bool:
    if condition.operator not in ORDERS or condition.value is None:
        return False
    return not (is_number(stored) if is_number(condition.value) else isinstance(stored, str))


BOOL_FOR_NUMBER = Difference("a bool is no number", has_bool_for_number)
NUMBER_BEYOND = Difference("a number is the nearest double", has_number_beyond)
OTHER_CLASS = Difference("values of different classes have no order", has_other_class)


def expect(framework: Framework, tree: Condition | Group, number: int, seen: Counter[str]) -> bool:
    """Return what vecstore has to say of a document, and count the differences that were needed."""
    if isinstance(tree, Condition):
        stored = read_stored(tree.path, METADATA[number])
        if stored is not None:
            for difference in framework.differences:
                if difference.applies(tree, stored):
                    seen[difference.name] += 1
                    return judge(tree, stored)
        answer = framework.evaluate(tree, number)
        assert answer is not None
        return answer
    before = seen.total()
    answers = [expect(framework, item, number, seen) for item in tree.items]
    combined = framework.combine(tree.word, answers)
    if seen.total() == before:
        whole = framework.evaluate(tree, number)
        assert whole in {None, combined}, (tree, METADATA[number])
    return combined


def check_filters(framework: Framework, database: Database, name: str, seed: int, count: int) -> Counter[str]:
    """Compare the answers to random filters, and return how often each difference was needed."""
    draw, seen, find = random.Random(f"{seed} {framework.name}"), Counter[str](), framework.fill(database, name)
    for _ in range(count):
        tree = draw_tree(draw, framework)
        expected = framework.select(partial(expect, framework, tree, seen=seen))
        found = find(framework.spell(tree))
        assert found == expected, (tree, {id_: METADATA[IDS.index(id_)] for id_ in found ^ expected})
    return seen
