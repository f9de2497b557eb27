"""Declared metadata fields: the values that each kind accepts, their stored form, and the filter operators.

A field converts a user's value to its *stored form*, one of ``str``, ``tuple[str, ...]``, ``int``, ``float``
and ``bool``, and back. Backends see only stored forms: a date is an ``int`` of microseconds.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import numpy as np

from .errors import InvalidArgument
from .rows.missing import name_missing
from .rows.replacements import MISSING, suggest_field_value
from .rows.strings import find_fault, to_plain

Stored = str | tuple[str, ...] | int | float | bool

MAX_INT = 2**53
"""Some engines filter with doubles, which cannot represent every integer beyond this."""
MAX_KEYWORD_BYTES = 1024
MAX_KEYWORDS = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_EQUALITY = frozenset({"eq", "in"})
_TEXTS = frozenset({"starts_with", "contains_text"})
_ORDER = frozenset({"eq", "in", "lt", "lte", "gt", "gte"})


def unwrap(value: Any) -> Any:
    """Return a numpy number, bool or str as the equal Python value, and anything else unchanged.

    NumPy dates and durations are unchanged: ``item()`` would turn them into numbers without a unit.
    """
    if not isinstance(value, np.generic) or value.dtype.kind not in "biufU":
        return value
    return float(value) if value.dtype.kind == "f" else value.item()


def make_type_error(value: object, kind: str, wanted: str) -> ValueError:
    """Return the error for a value of a wrong type, or for a missing one, with what to give instead."""
    if missing := name_missing(value):
        return ValueError(f"is {missing}, {MISSING}")
    advice = suggest_field_value(kind, value)
    return ValueError(f"must be {wanted}, not {type(value).__name__}{'; ' if advice else ''}{advice}")


class NewerSchema(InvalidArgument):
    """A stored schema has a part that this version does not know."""


@dataclass(frozen=True, slots=True)
class Field(ABC):
    """A declared field. ``encode`` raises ``ValueError`` with a reason that does not quote the value."""

    kind: ClassVar[str]
    operators: ClassVar[frozenset[str]]
    """The filter operators that the field supports besides ``exists``."""

    def __str__(self) -> str:
        """Return the kind with its options, as messages name it: ``datetime``, or ``datetime with text=True``."""
        described = describe_field(self)
        if isinstance(described, str):
            return described
        return (
            f"{self.kind} with {', '.join(f'{name}={value!r}' for name, value in described.items() if name != 'kind')}"
        )

    @abstractmethod
    def encode(self, value: Any) -> Stored:
        """Return the stored form of a metadata value."""

    def operand(self, value: Any) -> Stored:
        """Return the stored form of the operand of a filter."""
        return self.encode(value)

    def decode(self, stored: Stored) -> Any:
        """Return the user's value for a stored form."""
        return stored

    def decode_item(self, stored: Stored) -> Any:
        """Return the user's value for the stored form of a value that filters compare: of a list, an element."""
        return self.decode(stored)


@dataclass(frozen=True, slots=True)
class Keyword(Field):
    """A string of up to 1,024 bytes, compared byte by byte: equality, ``starts_with``, ``contains_text``."""

    kind = "keyword"
    operators = _EQUALITY | _TEXTS

    def encode(self, value: Any) -> str:
        if type(value) is not str:
            value = unwrap(value)
        if not isinstance(value, str):
            raise make_type_error(value, "keyword", "a str")
        reason = find_fault(value, 0, MAX_KEYWORD_BYTES)
        if reason:
            advice = "" if "\0" in value or "bytes" not in reason else "; metadata that is not declared may be longer"
            raise ValueError(f"{reason}{advice}")
        return to_plain(value)


@dataclass(frozen=True, slots=True)
class Keywords(Field):
    """A list of up to 1,000 keywords, order and duplicates kept: ``contains``, ``contains_any``, ``contains_all``."""

    kind = "keywords"
    operators = frozenset({"contains_any", "contains_all"})

    def encode(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise make_type_error(value, "keywords", "a list of str")
        if len(value) > MAX_KEYWORDS:
            raise ValueError(f"has {len(value):,} keywords, more than {MAX_KEYWORDS:,}")
        return tuple(self._encode_item(number, item) for number, item in enumerate(value))

    def _encode_item(self, number: int, item: Any) -> str:
        try:
            return self.operand(item)
        except ValueError as error:
            raise ValueError(f"has an item at position {number} that {error}") from error

    def operand(self, value: Any) -> str:
        return Keyword().encode(value)

    def decode(self, stored: Stored) -> list[str]:
        return list(stored) if isinstance(stored, tuple) else []

    def decode_item(self, stored: Stored) -> Any:
        return stored


@dataclass(frozen=True, slots=True)
class Int(Field):
    """An integer from −2⁵³ to 2⁵³; a ``bool`` is not one. Equality and order."""

    kind = "int"
    operators = _ORDER

    def encode(self, value: Any) -> int:
        if type(value) is not int:
            value = unwrap(value)
        if isinstance(value, bool) or not isinstance(value, int):
            if isinstance(value, float) and value.is_integer():
                raise ValueError("must be an int, not float; the number is whole, so give int(value)")
            raise make_type_error(value, "int", "an int")
        if not -MAX_INT <= value <= MAX_INT:
            raise ValueError("is beyond 2**53, where engines cannot tell integers apart; store it as a Keyword")
        return int(value)

    def operand(self, value: Any) -> int | float:
        """Return an int for a whole number. A fraction stays a float, which no value of the field equals."""
        value = unwrap(value)
        if not isinstance(value, float):
            return self.encode(value)
        if math.isinf(value):
            raise ValueError("must be finite, because stored numbers are")
        return self.encode(int(value)) if value.is_integer() else float(value)


@dataclass(frozen=True, slots=True)
class Float(Field):
    """A finite double; ints are accepted and come back as floats. Equality and order."""

    kind = "float"
    operators = _ORDER

    def encode(self, value: Any) -> float:
        value = unwrap(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise make_type_error(value, "float", "a float")
        try:
            number = float(value)
        except OverflowError as error:
            raise ValueError("is too large for a double") from error
        if math.isnan(number):
            raise make_type_error(value, "float", "a float")
        if math.isinf(number):
            raise ValueError("must be finite; leave the key out or give None if there is no number")
        return number + 0.0  # SQLite stores -0.0 as 0.0, so every backend does


@dataclass(frozen=True, slots=True)
class Bool(Field):
    """True or False: equality."""

    kind = "bool"
    operators = _EQUALITY

    def encode(self, value: Any) -> bool:
        value = unwrap(value)
        if not isinstance(value, bool):
            raise make_type_error(value, "bool", "a bool")
        return value


@dataclass(frozen=True, slots=True)
class DateTime(Field):
    """An aware datetime, kept in UTC to the microsecond, ±2⁵³ µs around 1970. Equality and order.

    Parameters
    ----------
    text : bool
        Values are ISO 8601 text, such as ``2024-01-31T09:30:00+01:00``, and come back as such text in UTC:
        ``2024-01-31T08:30:00+00:00``. A datetime is accepted, too.
    naive : {"utc"}, optional
        A value without a time zone is in UTC. By default it is refused.
    """

    text: bool = False
    naive: str | None = None

    kind = "datetime"
    operators = _ORDER

    def __post_init__(self) -> None:
        if not isinstance(self.text, bool):
            raise InvalidArgument(f"text must be True or False, not {type(self.text).__name__}.")
        if self.naive not in {None, "utc"}:
            raise InvalidArgument("naive must be None, which refuses dates without a time zone, or 'utc'.")

    def encode(self, value: Any) -> int:
        if self.text and isinstance(value, str):
            return self.operand(value)
        if not isinstance(value, datetime) or name_missing(value):
            raise make_type_error(value, "datetime", "a datetime or ISO 8601 text" if self.text else "a datetime")
        if value.tzinfo is None or value.utcoffset() is None:
            if self.naive is None:
                raise ValueError("must have a time zone; give value.replace(tzinfo=datetime.UTC) if it is in UTC")
            value = value.replace(tzinfo=UTC)
        micros: int = (value - _EPOCH) // _MICROSECOND
        if not -MAX_INT <= micros <= MAX_INT:
            raise ValueError("is more than 2**53 microseconds away from 1970")
        return micros

    def operand(self, value: Any) -> int:
        """Return microseconds. ISO 8601 text is accepted too, because the dict form of a filter contains it."""
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:  # its message quotes the value
                raise ValueError("must be a datetime or ISO 8601 text, such as 2024-01-31T09:30:00Z") from None
            if value.tzinfo is None and self.naive is None:
                raise ValueError("must have a time zone, as in 2024-01-31T09:30:00Z or 2024-01-31T09:30:00+01:00")
        return self.encode(value)

    def decode(self, stored: Stored) -> datetime | str:
        if not isinstance(stored, int):
            raise TypeError("a stored date is an int")
        moment = _EPOCH + stored * _MICROSECOND
        return moment.isoformat() if self.text else moment


_KINDS: Mapping[str, type[Field]] = {cls.kind: cls for cls in (Keyword, Keywords, Int, Float, Bool, DateTime)}


def make_field(described: str | Mapping[str, Any]) -> Field:
    """Return the field of a kind, such as ``"keyword"``, or of a mapping of ``kind`` and options.

    Raises
    ------
    KeyError, TypeError, InvalidArgument
        The kind is unknown, or an option is wrong.
    NewerSchema
        An option is unknown.
    """
    if isinstance(described, str):
        return _KINDS[described]()
    if not isinstance(described, Mapping):
        raise TypeError(f"a field is a kind or a mapping, not {type(described).__name__}")
    options = dict(described)
    made = _KINDS[options.pop("kind")]
    if unknown := sorted(options.keys() - {each.name for each in dataclasses.fields(made)}):
        raise NewerSchema(
            f"A newer vecstore wrote this schema, in which a {made.kind} has {unknown[0]!a:.40}. Upgrade vecstore."
        )
    return made(**options)


def describe_field(field: Field) -> str | dict[str, Any]:
    """Return what `make_field` makes the field of: its kind, and options that differ from their defaults."""
    given = ((each, getattr(field, each.name)) for each in dataclasses.fields(field))
    options = {each.name: value for each, value in given if value != each.default}
    return {"kind": field.kind, **options} if options else field.kind
