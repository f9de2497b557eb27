"""The nodes of a filter.

`vecstore.filters.field_ref` has `F`, which builds them, and `vecstore.filters.matching` their meaning.
`vecstore.filters.dict_form` reads and writes the JSON form. `vecstore.filters.binding` checks a filter against
a schema before a backend receives it.

The logic is two-valued: ``!=`` is ``~(==)`` and ``not_in`` is ``~in_``. Every other predicate is false for a
missing value, and ``~p`` is the exact complement of ``p``.

A bound filter consists of `Compare` with the operators of `OPERATORS` and values in stored form
(see `vecstore.fields`), `CompareKey` with `KeyValue` operands in a store with ``Schema(dynamic=True)``, `And`, `Or` and
`Not`. A backend has to compile nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import InvalidFilter


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on records. Combine conditions with ``&``, ``|`` and ``~``."""

    def __and__(self, other: Filter) -> Filter:
        return _combine(And, self, other)

    def __or__(self, other: Filter) -> Filter:
        return _combine(Or, self, other)

    def __invert__(self) -> Filter:
        return self.item if isinstance(self, Not) else Not(self)

    def __bool__(self) -> bool:
        raise InvalidFilter(
            "A filter has no truth value. Use &, | and ~ instead of and, or and not, put parentheses around each "
            "comparison, and use between() instead of a < F.x < b."
        )


@dataclass(frozen=True, slots=True)
class Compare(Filter):
    """A field, an operator of `OPERATORS`, and a value, which is a tuple for the operators of `LISTS`."""

    field: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class CompareKey(Filter):
    """A key of metadata that nobody declared, an operator of `OPERATORS`, and a value.

    A bound one compares with a `vecstore.filters.key_values.KeyValue`, a non-empty tuple of them for the operators of
    `LISTS`, and True for ``exists``. `vecstore.filters.key_values` has its meaning.

    Attributes
    ----------
    path : tuple of str
        The key, and the keys of the objects inside; one key is that of the metadata, whatever characters it has.
    """

    path: tuple[str, ...]
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class And(Filter):
    """True if all items are; true without items."""

    items: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """True if any item is; false without items."""

    items: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The complement of the item."""

    item: Filter


ALL: Filter = And(())
"""Matches every record, as an explicit choice for `update` and `delete`."""
NOTHING: Filter = Or(())
"""Matches no record."""


def _combine(kind: type[And] | type[Or], left: Filter, right: object) -> Filter:
    if not isinstance(right, Filter):
        raise InvalidFilter(f"A filter can be combined only with a filter, not with {type(right).__name__}.")
    items: list[Filter] = []
    for side in (left, right):
        items += side.items if isinstance(side, kind) and side.items else (side,)
    return kind(tuple(items))
