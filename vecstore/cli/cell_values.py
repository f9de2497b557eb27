"""Values of files as values of metadata: texts of CSV, gaps of pandas, dates without a time zone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from ..fields import Bool, DateTime, Field, Float, Int, Keywords
from ..rows.missing import name_missing
from .text_lines import Unreadable

_TRUTH = {
    "true": True, "yes": True, "1": True, "1.0": True, "false": False, "no": False, "0": False, "0.0": False,
}  # fmt: skip
_MISSING = frozenset({"", "nan", "na", "n/a", "<na>", "nat", "null", "none"})
"""What programs write into cells of numbers, dates and truth values that have none; in a text it is a text."""
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0+)?", re.ASCII)
_LONGEST_NUMBER = 300  # characters; the largest double has 309 digits
_COMMA = re.compile(r"[+-]?[0-9.' ]*[0-9],[0-9]+", re.ASCII)


def convert_value(
    key: str, value: Any, declared: Field | None, *, from_text: bool, on_naive: Callable[[str], None]
) -> Any:
    """Return a value of a file as a value of metadata; None for a missing one.

    Parameters
    ----------
    key : str
        For messages.
    value : object
    declared : Field or None
        The field that the value is for.
    from_text : bool
        Whether every value of the file is text, as in CSV.
    on_naive : callable
        Called with the key where a date without a time zone is taken for UTC.

    Raises
    ------
    Unreadable
    """
    if value is None or name_missing(value):
        return None
    if isinstance(declared, DateTime):
        return _convert_date(key, value, on_naive)
    if isinstance(value, str) and from_text and declared is not None:
        return _convert_text(key, value, declared)
    if isinstance(declared, Int) and isinstance(value, float) and value.is_integer():
        return int(value)  # a column of integers with gaps, as pandas writes it
    if isinstance(declared, Float) and isinstance(value, Decimal):
        return float(value)
    if isinstance(declared, Int) and isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    try:
        return _make_plain(value)
    except RecursionError as error:
        raise Unreadable(f"metadata {key!a} is nested too deeply") from error


def _make_plain(value: Any) -> Any:
    """Return a value of Parquet as JSON has it."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, list):
        return [_make_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _make_plain(each) for key, each in value.items()}
    return value


def _convert_date(key: str, value: Any, on_naive: Callable[[str], None]) -> Any:
    if isinstance(value, str):
        if value.strip().lower() in _MISSING:
            return None
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise Unreadable(
                f"metadata {key!a} is not a date in ISO 8601, such as 2024-01-31 or 2024-01-31T09:30:00Z"
            ) from None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime) and value.tzinfo is None:
        on_naive(key)
        return value.replace(tzinfo=UTC)
    return value


def _convert_text(key: str, text: str, declared: Field) -> Any:
    """Return the value of a text."""
    word = text.strip()
    if isinstance(declared, Keywords):
        return _convert_list(key, text)
    if not isinstance(declared, Int | Float | Bool):
        return text
    if word.lower() in _MISSING:
        return None
    if isinstance(declared, Bool):
        if word.lower() not in _TRUTH:
            raise Unreadable(f"metadata {key!a} must be true or false; leave the cell empty if there is no value")
        return _TRUTH[word.lower()]
    if _COMMA.fullmatch(word):
        raise Unreadable(
            f"metadata {key!a} has a comma in its number; write numbers as 1234.5, or declare it as {key}:keyword to "
            "keep the text"
        )
    if isinstance(declared, Int):
        if _WHOLE.fullmatch(word) and len(word) <= _LONGEST_NUMBER:
            return int(word.partition(".")[0])
        raise Unreadable(f"metadata {key!a} must be an int such as 2024; leave the cell empty if there is none")
    try:
        return float(word)
    except ValueError:
        raise Unreadable(
            f"metadata {key!a} must be a number such as 1234.5; leave the cell empty if there is none"
        ) from None


def _convert_list(key: str, text: str) -> Any:
    if not text.startswith("["):
        return text.split("|")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f'metadata {key!a} begins with a bracket but is no JSON list; write a|b or ["a", "b"]'
        ) from error
