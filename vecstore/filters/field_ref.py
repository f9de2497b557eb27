"""Fields in filter expressions: `F.year >= 2020`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import InvalidFilter
from .nodes import And, Compare, Filter, Not
from .operators import to_tuple


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
        return Compare(self.name, "in", to_tuple(self.name, "in", values))

    def not_in(self, values: Iterable[object]) -> Filter:
        """Match what `in_` does not, including records without the field."""
        return Not(self.in_(values))

    def contains(self, value: object) -> Filter:
        """Match lists that contain the value."""
        return Compare(self.name, "contains_all", (value,))

    def contains_any(self, values: Iterable[object]) -> Filter:
        """Match lists that contain at least one of the values."""
        return Compare(self.name, "contains_any", to_tuple(self.name, "contains_any", values))

    def contains_all(self, values: Iterable[object]) -> Filter:
        """Match lists that contain every value; an empty list matches nothing."""
        return Compare(self.name, "contains_all", to_tuple(self.name, "contains_all", values))

    def exists(self) -> Filter:
        """Match records that have a value for the field."""
        return Compare(self.name, "exists", True)

    def is_missing(self) -> Filter:
        """Match what `exists` does not."""
        return Not(self.exists())


class _Fields:
    """``F.year``, or ``F["year"]`` for a name in a variable."""

    def __reduce__(self) -> str:
        """Pickle and copy by name, because there is one of it."""
        return "F"

    def __getattr__(self, name: str) -> FieldRef:
        if name.startswith("__"):
            raise AttributeError(name)
        return FieldRef(name)

    def __getitem__(self, name: str) -> FieldRef:
        if not isinstance(name, str):
            raise InvalidFilter(f"A field's name must be a str, not {type(name).__name__}.")
        return FieldRef(name)


F = _Fields()
