"""A bound filter as queries of the engine, and as a program for a script: pure.

The engine's iterators lose matches where a negation stands inside of an alternative inside of a conjunction, and where
there are more than twenty alternatives (found by random filters against search 2.10.5; which, depends on the records).
What it gets is therefore flat: at most twenty alternatives of conjunctions of single conditions and their complements.
A filter that has too many of them, or records that are at hand already, are looked at by a script.

Nothing of a user's stands in it as it came: strings and bools become tokens of ``[a-z0-9]`` (see `tokens`), numbers the
decimal text that Python makes of a checked int or float, fields have names that the schema has checked. Whatever a
record has is listed in its attribute ``has``, so that what it lacks can be asked for, and everything at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vecstore.fields import Field
from vecstore.filters.nodes import And, Compare, Filter, Not, Or

from .fields import form, token

EVERY = "a"
"""The token that every record has."""
EVERYTHING = f"@has:{{{EVERY}}}"
NOTHING = "@has:{none}"
_TOGETHER = 20
"""Alternatives in one query."""
_MOST = 200
"""Alternatives in all; a filter may have exponentially many."""

Literal = tuple[str, bool]
"""A single condition as a query, and whether its complement is meant."""
Conjunction = tuple[Literal, ...]


class _TooMany(Exception):
    """There are more alternatives than `_MOST`."""


_RANGES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "eq": lambda number: f"[{number} {number}]",
        "lt": lambda number: f"[-inf ({number}]",
        "lte": lambda number: f"[-inf {number}]",
        "gt": lambda number: f"[({number} +inf]",
        "gte": lambda number: f"[{number} +inf]",
    }
)


def has_tokens(fields: Mapping[str, Field]) -> dict[str, str]:
    """Return the token by which a record says that it has a field."""
    return {name: f"f{number}" for number, name in enumerate(sorted(fields))}


def compiled(condition: Filter, fields: Mapping[str, Field]) -> tuple[str, ...] | None:
    """Return queries that together match what a filter does, None where that takes too many.

    One record may match several of them.
    """
    try:
        alternatives = list(dict.fromkeys(_alternatives(condition, fields, negated=False)))
    except _TooMany:
        return None
    texts = [_conjunction(each) for each in alternatives] or [NOTHING]
    return tuple("|".join(texts[start : start + _TOGETHER]) for start in range(0, len(texts), _TOGETHER))


def _alternatives(condition: Filter, fields: Mapping[str, Field], *, negated: bool) -> list[Conjunction]:
    """Return the disjunctive normal form of a filter or its complement."""
    match condition:
        case Compare(name, "contains_all", value) if value and len(value) > 1:
            return _alternatives(
                And(tuple(Compare(name, "contains_all", (each,)) for each in value)), fields, negated=negated
            )
        case Compare(name, op, value):
            return _certain(_predicate(name, op, value, fields), negated=negated)
        case Not(item):
            return _alternatives(item, fields, negated=not negated)
        case And(items) | Or(items):
            parts = [_alternatives(item, fields, negated=negated) for item in items]
            if isinstance(condition, Or) is not negated:
                return _limited([each for part in parts for each in part])
            return _products(parts)
    raise TypeError(f"not a bound filter: {type(condition).__name__}")


def _certain(text: str, *, negated: bool) -> list[Conjunction]:
    """Return a single condition, in which what is always or never true is known for that."""
    if text in {EVERYTHING, NOTHING}:
        return [()] if (text == EVERYTHING) is not negated else []
    return [((text, negated),)]


def _products(parts: Sequence[Sequence[Conjunction]]) -> list[Conjunction]:
    found: list[Conjunction] = [()]
    for part in parts:
        joined = (tuple(dict.fromkeys((*left, *right))) for left in found for right in part)
        found = _limited([each for each in dict.fromkeys(joined) if not _is_contradiction(each)])
    return found


def _limited(alternatives: list[Conjunction]) -> list[Conjunction]:
    if len(alternatives) > _MOST:
        raise _TooMany
    return alternatives


def _is_contradiction(conjunction: Conjunction) -> bool:
    return any((text, not negated) in conjunction for text, negated in conjunction)


def _conjunction(literals: Conjunction) -> str:
    positive = [text for text, negated in literals if not negated] or [EVERYTHING]
    return f"({' '.join((*positive, *(f'-{text}' for text, negated in literals if negated)))})"


def _predicate(name: str, op: str, value: Any, fields: Mapping[str, Field]) -> str:
    if op == "exists":
        return EVERYTHING if name == "id" else f"@has:{{{has_tokens(fields)[name]}}}"
    if value == ():
        return NOTHING
    tags = _tags(name, value, fields)
    return _number(f"f_{name}", op, value) if tags is None else any_of(_attribute(name), tags)


def _tags(name: str, value: Any, fields: Mapping[str, Field]) -> list[str] | None:
    """Return the tags that a value or a list of them stands for; None for numbers."""
    tag = token if name == "id" else form(fields[name]).tag
    return None if tag is None else [tag(each) for each in _listed(value)]


def _attribute(name: str) -> str:
    return name if name == "id" else f"f_{name}"


def _number(attribute: str, op: str, value: Any) -> str:
    if op == "in":
        return f"({'|'.join(_number(attribute, 'eq', each) for each in value)})"
    return f"@{attribute}:{_RANGES[op](repr(value))}"


def any_of(attribute: str, tags: Iterable[str]) -> str:
    """Return the query for records that have any of some tags."""
    return f"@{attribute}:{{{'|'.join(tags)}}}"


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,)


def program(condition: Filter, fields: Mapping[str, Field]) -> list[Any]:
    """Return a filter as the program of a script, which looks at one record after the other.

    A program is words, in the order in which a stack works: ``tags`` and ``numbers`` with an attribute, an operator, a
    count and values; ``and`` and ``or`` with a count; ``not``.
    """
    match condition:
        case Compare("id", "exists", _):
            return ["and", 0]
        case Compare(name, "exists", _):
            return ["tags", "has", "any", 1, has_tokens(fields)[name]]
        case Compare(name, op, value):
            values = _listed(value)
            tags = _tags(name, value, fields)
            if tags is None:
                return ["numbers", f"f_{name}", "eq" if op == "in" else op, len(values), *map(repr, values)]
            return ["tags", _attribute(name), "all" if op == "contains_all" else "any", len(tags), *tags]
        case And(items) | Or(items):
            words = [word for item in items for word in program(item, fields)]
            return [*words, "and" if isinstance(condition, And) else "or", len(items)]
        case Not(item):
            return [*program(item, fields), "not"]
    raise TypeError(f"not a bound filter: {type(condition).__name__}")
