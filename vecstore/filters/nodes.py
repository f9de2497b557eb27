"""The nodes of a filter, `F` to build them, and their meaning.

`vecstore.filters.dict_form` reads and writes the JSON form. `vecstore.filters.binding` checks a filter against
a schema before a backend receives it.

The logic is two-valued: ``!=`` is ``~(==)`` and ``not_in`` is ``~in_``. Every other predicate is false for a
missing value, and ``~p`` is the exact complement of ``p``.

A bound filter consists of `Compare` with the operators of `OPERATORS` and values in stored form
(see `vecstore.fields`), `And`, `Or` and `Not`. A backend has to compile nothing else.
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
"""The meaning of each operator of a bound filter, for a stored value (never None) and the operand."""
LISTS = frozenset({"in", "contains_any", "contains_all"})
"""Operators whose value is a tuple. An empty tuple matches nothing."""


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


def _combine(kind: type[And] | type[Or], left: Filter, right: object) -> Filter:
    if not isinstance(right, Filter):
        raise InvalidFilter(f"A filter can be combined only with a filter, not with {type(right).__name__}.")
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
        raise InvalidFilter(f"The field {self.name[:60]!a} alone is not a condition. Compare it, as in F.flag == True.")

    def between(self, low: object, high: object) -> Filter:
        """Match values from low to high, including both."""
        return And((Compare(self.name, "gte", low), Compare(self.name, "lte", high)))

    def in_(self, values: Iterable[object]) -> Filter:
        """Match any of the values; an empty list matches nothing."""
        return Compare(self.name, "in", to_tuple("in_", values))

    def not_in(self, values: Iterable[object]) -> Filter:
        """Match what `in_` does not, including records without the field."""
        return Not(self.in_(values))

    def contains(self, value: object) -> Filter:
        """Match lists that contain the value."""
        return Compare(self.name, "contains_all", (value,))

    def contains_any(self, values: Iterable[object]) -> Filter:
        """Match lists that contain at least one of the values."""
        return Compare(self.name, "contains_any", to_tuple("contains_any", values))

    def contains_all(self, values: Iterable[object]) -> Filter:
        """Match lists that contain every value; an empty list matches nothing."""
        return Compare(self.name, "contains_all", to_tuple("contains_all", values))

    def exists(self) -> Filter:
        """Match records that have a value for the field."""
        return Compare(self.name, "exists", True)

    def is_missing(self) -> Filter:
        """Match what `exists` does not."""
        return Not(self.exists())


def to_tuple(op: str, values: object) -> tuple[object, ...]:
    """Return the values of a list operator as a tuple. A bare ``str`` is refused."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidFilter(f"{op} takes a list of values, not {type(values).__name__}.")
    return tuple(values)


class _Fields:
    """``F.year``, or ``F["year"]`` for a name in a variable."""

    def __getattr__(self, name: str) -> FieldRef:
        if name.startswith("__"):
            raise AttributeError(name)
        return FieldRef(name)

    def __getitem__(self, name: str) -> FieldRef:
        if not isinstance(name, str):
            raise InvalidFilter(f"A field's name must be a str, not {type(name).__name__}.")
        return FieldRef(name)


F = _Fields()


def matches(condition: Filter, id_: str, fields: Mapping[str, Stored | None]) -> bool:
    """Return whether a record matches a bound filter. This is the definition that backends must agree with.

    Parameters
    ----------
    condition : Filter
        A bound filter.
    id_ : str
    fields : mapping
        Stored forms. A missing key and None both mean a missing value.
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
