"""Fields and keys in filter expressions: `F.year >= 2020`, `F["Page Number"] == 3`, `F.path("author", "name")`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import InvalidFilter
from .nodes import And, Compare, CompareKey, Filter, Not
from .operators import to_tuple

RECORD_ID = "id"
"""What ``F.id`` stands for; no field has that name."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldRef:
    """A field of the schema, the id, or a key of the metadata, in a filter expression: ``F.year >= 2020``.

    Attributes
    ----------
    name : str
    path : tuple of str
        The keys of a path into objects, or the key that is not the record's id; empty for a plain name.
    """

    name: str
    path: tuple[str, ...] = ()

    def _compare(self, op: str, value: object) -> Filter:
        return CompareKey(self.path, op, value) if self.path else Compare(self.name, op, value)

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return self._compare("eq", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        return Not(self._compare("eq", value))

    def __lt__(self, value: object) -> Filter:
        return self._compare("lt", value)

    def __le__(self, value: object) -> Filter:
        return self._compare("lte", value)

    def __gt__(self, value: object) -> Filter:
        return self._compare("gt", value)

    def __ge__(self, value: object) -> Filter:
        return self._compare("gte", value)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise InvalidFilter(f"The field {self.name[:60]!a} alone is not a condition. Compare it, as in F.flag == True.")

    def between(self, low: object, high: object) -> Filter:
        """Match values from low to high, including both."""
        return And((self._compare("gte", low), self._compare("lte", high)))

    def in_(self, values: Iterable[object]) -> Filter:
        """Match any of the values; an empty list matches nothing."""
        return self._compare("in", to_tuple(self.name, "in", values))

    def not_in(self, values: Iterable[object]) -> Filter:
        """Match what `in_` does not, including records without the field."""
        return Not(self.in_(values))

    def contains(self, value: object) -> Filter:
        """Match lists that contain the value."""
        return self._compare("contains_all", (value,))

    def contains_any(self, values: Iterable[object]) -> Filter:
        """Match lists that contain at least one of the values."""
        return self._compare("contains_any", to_tuple(self.name, "contains_any", values))

    def contains_all(self, values: Iterable[object]) -> Filter:
        """Match lists that contain every value; an empty list matches nothing."""
        return self._compare("contains_all", to_tuple(self.name, "contains_all", values))

    def starts_with(self, text: str) -> Filter:
        """Match strings that begin with the text, which is not empty; upper and lower case differ."""
        return self._compare("starts_with", text)

    def contains_text(self, text: str) -> Filter:
        """Match strings that have the text somewhere inside; it is not empty, and upper and lower case differ."""
        return self._compare("contains_text", text)

    def exists(self) -> Filter:
        """Match records that have a value for the field."""
        return self._compare("exists", True)

    def is_missing(self) -> Filter:
        """Match what `exists` does not."""
        return Not(self.exists())


class PathRef(FieldRef):
    """``F.path("author", "name")``: a key inside an object; ``F.path`` alone is a field or a key called path."""

    __slots__ = ()

    def __call__(self, *keys: str) -> FieldRef:
        """Return the value at the end of a path of keys. One key is the same as ``F[key]``.

        Raises
        ------
        InvalidFilter
        """
        if not keys or not all(isinstance(key, str) for key in keys):
            raise InvalidFilter(
                "F.path() takes the keys from the outside to the inside, as in F.path('author', 'name')."
            )
        return make_ref(keys)


def make_ref(path: tuple[str, ...]) -> FieldRef:
    """Return the reference to a key or a path. A single key may be the name of a declared field."""
    return FieldRef(path[0]) if len(path) == 1 and path[0] != RECORD_ID else FieldRef(path[-1], path)


class _Fields:
    """``F.year``, or ``F["year"]`` for a name in a variable and for any key of the metadata.

    ``F.id`` is the record's id, ``F["id"]`` the key "id" of its metadata.
    """

    path = PathRef("path")

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
        return make_ref((name,))


F = _Fields()
