"""A bound filter as queries of the engine, and as a program for a script: pure.

The engine loses matches of a negation inside an alternative inside a conjunction, and of more than twenty alternatives;
random filters found this with search 2.10.5, and which matches depends on the records. Queries are therefore flat: at
most twenty alternatives, each a conjunction of single conditions and their complements. A script evaluates a filter
with too many alternatives or with a condition on a part of a string, and a filter on records whose ids are known.

No value goes into a query as the user gave it. Strings and bools become tokens of ``[a-z0-9]`` (see `fields`), numbers
become the decimal text of a checked int or float, and the schema has checked the names of fields. The attribute
``has`` lists the fields of a record, which makes it possible to query missing fields, and all records. ``keys`` has the
tokens of undeclared metadata (see `key_tokens`); an order of undeclared values is evaluated by a script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vecstore.fields import Field
from vecstore.filters.nodes import And, Compare, CompareKey, Filter, Not, Or
from vecstore.filters.operators import TEXTS

from .fields import FIELDS, encode_token
from .key_tokens import WITHOUT_TOKENS, list_operand_tokens

KEYS = "keys"
"""The attribute of the tokens of undeclared metadata."""
EVERY = "a"
"""The token that every record has."""
EVERYTHING = f"@has:{{{EVERY}}}"
NOTHING = "@has:{none}"
HAS_VECTOR = Compare("vector", "exists", True)
"""The records that have a vector, in a store where these are optional; no field can be called so."""
VECTOR_MARK = "v"
"""The token that these have."""
WITH_VECTOR = f"@has:{{{VECTOR_MARK}}}"
_PER_QUERY = 20
"""Alternatives in one query."""
_MAX_ALTERNATIVES = 200
"""Alternatives in all; a filter may have exponentially many."""

Literal = tuple[str, bool]
"""A single condition as a query, and whether it is negated."""
Conjunction = tuple[Literal, ...]


class _NoQueries(Exception):
    """There are more alternatives than `_MAX_ALTERNATIVES`, or a condition that the index knows nothing of."""


_RANGES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "eq": lambda number: f"[{number} {number}]",
        "lt": lambda number: f"[-inf ({number}]",
        "lte": lambda number: f"[-inf {number}]",
        "gt": lambda number: f"[({number} +inf]",
        "gte": lambda number: f"[{number} +inf]",
    }
)


def assign_presence_tokens(fields: Mapping[str, Field]) -> dict[str, str]:
    """Return the token of each field that ``has`` lists for a record with this field."""
    return {name: f"f{number}" for number, name in enumerate(sorted(fields))}


def _find_token(name: str, fields: Mapping[str, Field]) -> str:
    return VECTOR_MARK if name == HAS_VECTOR.field else assign_presence_tokens(fields)[name]


def compile_filter(condition: Filter, fields: Mapping[str, Field]) -> tuple[str, ...] | None:
    """Return queries that together match what the filter matches; None if it takes too many, or a script.

    One record may match several of them.
    """
    try:
        alternatives = list(dict.fromkeys(_expand(condition, fields, negated=False)))
    except _NoQueries:
        return None
    texts = [_write_conjunction(each) for each in alternatives] or [NOTHING]
    return tuple("|".join(texts[start : start + _PER_QUERY]) for start in range(0, len(texts), _PER_QUERY))


def _expand(condition: Filter, fields: Mapping[str, Field], *, negated: bool) -> list[Conjunction]:
    """Return the disjunctive normal form of a filter or its complement."""
    match condition:
        case Compare(name, "contains_all", value) if value and len(value) > 1:
            return _expand(
                And(tuple(Compare(name, "contains_all", (each,)) for each in value)), fields, negated=negated
            )
        case CompareKey(path, "contains_all", value) if len(value) > 1:
            return _expand(
                And(tuple(CompareKey(path, "contains_all", (each,)) for each in value)), fields, negated=negated
            )
        case CompareKey(_, op, _):
            if op in WITHOUT_TOKENS:
                raise _NoQueries
            return [((match_any(KEYS, list_operand_tokens(condition)), negated),)]
        case Compare(op=op) if op in TEXTS:
            # A token may be hex, whose parts need not begin at a byte, and the engine follows 200 of all prefixes only.
            raise _NoQueries
        case Compare(name, op, value):
            return _simplify(_write_predicate(name, op, value, fields), negated=negated)
        case Not(item):
            return _expand(item, fields, negated=not negated)
        case And(items) | Or(items):
            parts = [_expand(item, fields, negated=negated) for item in items]
            if isinstance(condition, Or) is not negated:
                return _check_number([each for part in parts for each in part])
            return _multiply(parts)
    raise TypeError(f"not a bound filter: {type(condition).__name__}")


def _simplify(text: str, *, negated: bool) -> list[Conjunction]:
    """Return the alternatives of a single condition, which may be always or never true."""
    if text in {EVERYTHING, NOTHING}:
        return [()] if (text == EVERYTHING) is not negated else []
    return [((text, negated),)]


def _multiply(parts: Sequence[Sequence[Conjunction]]) -> list[Conjunction]:
    found: list[Conjunction] = [()]
    for part in parts:
        joined = (tuple(dict.fromkeys((*left, *right))) for left in found for right in part)
        found = _check_number([each for each in dict.fromkeys(joined) if not _is_contradiction(each)])
    return found


def _check_number(alternatives: list[Conjunction]) -> list[Conjunction]:
    if len(alternatives) > _MAX_ALTERNATIVES:
        raise _NoQueries
    return alternatives


def _is_contradiction(conjunction: Conjunction) -> bool:
    return any((text, not negated) in conjunction for text, negated in conjunction)


def _write_conjunction(literals: Conjunction) -> str:
    positive = [text for text, negated in literals if not negated] or [EVERYTHING]
    return f"({' '.join((*positive, *(f'-{text}' for text, negated in literals if negated)))})"


def _write_predicate(name: str, op: str, value: Any, fields: Mapping[str, Field]) -> str:
    if op == "exists":
        return EVERYTHING if name == "id" else f"@has:{{{_find_token(name, fields)}}}"
    if value == ():
        return NOTHING
    tags = _encode_tags(name, value, fields)
    return _write_range(f"f_{name}", op, value) if tags is None else match_any(_to_attribute(name), tags)


def _encode_tags(name: str, value: Any, fields: Mapping[str, Field]) -> list[str] | None:
    """Return the tags of a value or of a list of values; None for numbers."""
    tag = encode_token if name == "id" else FIELDS[fields[name].kind].tag
    return None if tag is None else [tag(each) for each in _to_list(value)]


def _to_attribute(name: str) -> str:
    return name if name == "id" else f"f_{name}"


def _write_range(attribute: str, op: str, value: Any) -> str:
    if op == "in":
        return f"({'|'.join(_write_range(attribute, 'eq', each) for each in value)})"
    return f"@{attribute}:{_RANGES[op](repr(value))}"


def match_any(attribute: str, tags: Iterable[str]) -> str:
    """Return the query for records that have at least one of some tags."""
    return f"@{attribute}:{{{'|'.join(tags)}}}"


def _to_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,)


def compile_program(condition: Filter, fields: Mapping[str, Field]) -> list[Any]:
    """Return a filter as a program for ``parts/matching.lua``, which runs it on one record after the other.

    A program is a list of words in the order of a stack machine: ``tags``, ``numbers`` and ``texts`` with an
    attribute, an operator, a count and values; ``key`` with a class, an operator, an operand, a count and the keys of a
    path into the undeclared metadata; ``and`` and ``or`` with a count; ``not``.
    """
    match condition:
        case CompareKey(path, op, value) if op in WITHOUT_TOKENS:
            operand = repr(value.value) if value.kind == "number" else value.value
            return ["key", value.kind, op, operand, len(path), *path]
        case CompareKey(_, op, _):
            tokens = list_operand_tokens(condition)
            return ["tags", KEYS, "all" if op == "contains_all" else "any", len(tokens), *tokens]
        case Compare("id", "exists", _):
            return ["and", 0]
        case Compare(name, "exists", _):
            return ["tags", "has", "any", 1, _find_token(name, fields)]
        case Compare(name, op, value):
            values = _to_list(value)
            if op in TEXTS:
                return ["texts", _to_attribute(name), op, 1, value]
            tags = _encode_tags(name, value, fields)
            if tags is None:
                return ["numbers", f"f_{name}", "eq" if op == "in" else op, len(values), *map(repr, values)]
            return ["tags", _to_attribute(name), "all" if op == "contains_all" else "any", len(tags), *tags]
        case And(items) | Or(items):
            words = [word for item in items for word in compile_program(item, fields)]
            return [*words, "and" if isinstance(condition, And) else "or", len(items)]
        case Not(item):
            return [*compile_program(item, fields), "not"]
    raise TypeError(f"not a bound filter: {type(condition).__name__}")
