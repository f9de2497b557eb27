"""Filters: the nodes, `F` to build them with, and what they mean.

`vecstore.filters.dict_form` reads and writes their JSON form, `vecstore.filters.binding` checks them against
a schema before a backend sees them.

Two-valued logic: ``!=`` is ``~(==)``, ``not_in`` is ``~in_``; every other predicate is false on a
missing value, and ``~p`` is the exact complement of ``p``.

A bound filter consists of `Compare` with the operators of `OPERATORS` and values in stored form
(see `vecstore.fields`), `And`, `Or` and `Not`. That is all a backend has to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import InvalidFilter
from ..fields import Stored

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "eq": lambda stored, value: stored == value,
        "in": lambda stored, values: stored in values,
        "lt": lambda stored, value: stored < value,
        "lte": lambda stored, value: stored <= value,
        "gt": lambda stored, value: stored > value,
        "gte": lambda stored, value: stored >= value,
        "exists": lambda stored, value: True,
        "contains_any": lambda stored, values: any(value in stored for value in values),
        "contains_all": lambda stored, values: bool(values) and all(value in stored for value in values),
    }
)
"""What each operator of a bound filter means: a stored value, which is never missing, and the operand."""
LISTS = frozenset({"in", "contains_any", "contains_all"})
"""Operators whose value is a tuple; an empty one matches nothing."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on records; combine with ``&``, ``|`` and ``~``."""

    def __and__(self, other: Filter) -> Filter:
        return _combine(And, self, other)

    def __or__(self, other: Filter) -> Filter:
        return _combine(Or, self, other)

    def __invert__(self) -> Filter:
        return self.item if isinstance(self, Not) else Not(self)

    def __bool__(self) -> bool:
        raise InvalidFilter(
            "A filter has no truth value. Use &, | and ~ instead of and, or and not, "
            "parentheses around each comparison, and between() instead of a < F.x < b."
        )


@dataclass(frozen=True, slots=True)
class Compare(Filter):
    """One field, one operator of `OPERATORS`, one value; a tuple for the operators of `LISTS`."""

    field: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of the items; without items it is true."""

    items: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """Any of the items; without items it is false."""

    items: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The complement of the item."""

    item: Filter


ALL: Filter = And(())
"""Matches every record; `update` and `delete` take it to say "everything" aloud."""


def _combine(kind: type[And] | type[Or], left: Filter, right: object) -> Filter:
    if not isinstance(right, Filter):
        raise InvalidFilter(f"A filter combines with filters only, not with {type(right).__name__}.")
    items: list[Filter] = []
    for side in (left, right):
        items += side.items if isinstance(side, kind) and side.items else (side,)
    return kind(tuple(items))


@dataclass(frozen=True, slots=True, eq=False)
class FieldRef:
    """A field of the schema, or the id, in a filter expression: ``F.year >= 2020``."""

    name: str

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return Compare(self.name, "eq", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        return Not(Compare(self.name, "eq", value))

    def __lt__(self, value: object) -> Filter:
        return Compare(self.name, "lt", value)

    def __le__(self, value: object) -> Filter:
        return Compare(self.name, "lte", value)

    def __gt__(self, value: object) -> Filter:
        return Compare(self.name, "gt", value)

    def __ge__(self, value: object) -> Filter:
        return Compare(self.name, "gte", value)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise InvalidFilter(f"The field {self.name[:60]!a} alone is no condition. Compare it: F.flag == True.")

    def between(self, low: object, high: object) -> Filter:
        """Match values from low to high, both ends included."""
        return And((Compare(self.name, "gte", low), Compare(self.name, "lte", high)))

    def in_(self, values: Iterable[object]) -> Filter:
        """Match any of the values, and nothing when there are none."""
        return Compare(self.name, "in", to_tuple("in_", values))

    def not_in(self, values: Iterable[object]) -> Filter:
        """Match what `in_` does not, records without the field among them."""
        return Not(self.in_(values))

    def contains(self, value: object) -> Filter:
        """Match lists that hold the value."""
        return Compare(self.name, "contains_all", (value,))

    def contains_any(self, values: Iterable[object]) -> Filter:
        """Match lists that hold at least one of the values."""
        return Compare(self.name, "contains_any", to_tuple("contains_any", values))

    def contains_all(self, values: Iterable[object]) -> Filter:
        """Match lists that hold every value, and nothing when there are none."""
        return Compare(self.name, "contains_all", to_tuple("contains_all", values))

    def exists(self) -> Filter:
        """Match records that have a value for the field."""
        return Compare(self.name, "exists", True)

    def is_missing(self) -> Filter:
        """Match what `exists` does not."""
        return Not(self.exists())


def to_tuple(op: str, values: object) -> tuple[object, ...]:
    """Return the values of a list operator as a tuple; a bare ``str`` is no list of values."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidFilter(f"{op} takes a list of values, not {type(values).__name__}.")
    return tuple(values)


class _Fields:
    """``F.year``, or ``F["year"]`` for a name held in a variable."""

    def __getattr__(self, name: str) -> FieldRef:
        if name.startswith("__"):
            raise AttributeError(name)
        return FieldRef(name)

    def __getitem__(self, name: str) -> FieldRef:
        if not isinstance(name, str):
            raise InvalidFilter(f"A field is named by a str, not {type(name).__name__}.")
        return FieldRef(name)


F = _Fields()


def matches(condition: Filter, id_: str, fields: Mapping[str, Stored | None]) -> bool:
    """Say whether a record matches a bound filter. This is the definition; backends must agree with it.

    Parameters
    ----------
    condition : Filter
        A bound filter.
    id_ : str
    fields : mapping
        Stored forms; missing keys and None are missing values.
    """
    match condition:
        case Compare(name, op, value):
            stored = id_ if name == "id" else fields.get(name)
            return stored is not None and OPERATORS[op](stored, value)
        case And(items):
            return all(matches(item, id_, fields) for item in items)
        case Or(items):
            return any(matches(item, id_, fields) for item in items)
        case Not(item):
            return not matches(item, id_, fields)
    raise TypeError(f"not a bound filter: {type(condition).__name__}")
