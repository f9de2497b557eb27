"""The YAML front matter of a Markdown document: what it is, and what becomes metadata."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..fields import DateTime, Field, Int, Keyword, Keywords
from .formats.parts import clean_text

_MAX_SIZE = 64 << 10
_MAX_TITLE = 250  # characters; a Keyword holds 1,024 bytes
_MAX_TAGS = 1_000
_NULL = frozenset({"", "~", "null"})
"""How YAML writes a value that is not there."""
_BEGIN = re.compile(r"---[ \t]*\n(?=[^\s#:-][^\n:]*:(?:[ \t]|\n))")
_END = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a document says about itself before its text.

    Attributes
    ----------
    values : mapping of str to str, list or dict
        As written: no number or date is guessed.
    end : int
        Where the text begins, in characters; 0 without front matter.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    end: int = 0


def read_front_matter(text: str) -> FrontMatter:
    """Read the front matter of a document whose lines end in a newline.

    Front matter is a YAML mapping between a first line ``---`` and a line ``---`` or ``...``. Its first line is
    ``key: value``. Anything else, such as a horizontal rule with another one further down, is text; so is a mapping
    with a key twice, or with keys of several words and none that is known.
    """
    begin = _BEGIN.match(text)
    end = _END.search(text, begin.end(), _MAX_SIZE) if begin else None
    if begin is None or end is None:
        return FrontMatter()
    values = _read_mapping(text[begin.end() : end.start()])
    if values is None:
        return FrontMatter()
    return FrontMatter(values, min(end.end() + 1, len(text)))


def _read_mapping(source: str) -> dict[str, Any] | None:
    import yaml

    try:
        # The base loader knows no tags and makes no objects: every scalar stays the text that it is.
        root = yaml.compose(source, Loader=yaml.BaseLoader)
        values = yaml.load(source, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError):
        return None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        return None
    if root is None or len(root.value) > len(values):
        return None  # of a key that is given twice, one value would be lost
    is_prose = any(" " in key for key in values) and not any(key in values for key in _KEYS)
    return None if is_prose else values


def make_metadata(values: Mapping[str, Any], fields: Mapping[str, Field]) -> tuple[dict[str, Any], list[str]]:
    """Return the metadata that front matter gives, and the keys that are left out.

    Title, tags and date become metadata, where the store does not declare these names for something else. A date
    without a time zone is taken as UTC; in a store that does not declare ``date``, it stays text.
    """
    metadata: dict[str, Any] = {}
    for key, (kind, read) in _KEYS.items():
        declared = fields.get(key)
        if key not in values or not (declared is None or isinstance(declared, kind)):
            continue
        value = _read_text(values[key]) if key == "date" and declared is None else read(values[key])
        if value:
            metadata[key] = value
    return metadata, [key for key in values if key not in metadata]


def fit_metadata(values: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the values that are there and that the store does not declare as something else.

    Parameters
    ----------
    values : mapping of str to str, int or None
        By name of the metadata field.
    fields : mapping of str to Field
        Declared fields of the store.
    """
    fitting: dict[str, Any] = {}
    for key, value in values.items():
        declared = fields.get(key)
        kind = Int if isinstance(value, int) else Keyword
        if value is not None and (declared is None or isinstance(declared, kind)):
            fitting[key] = value[:_MAX_TITLE] if isinstance(value, str) else value
    return fitting


def _read_text(value: Any) -> str | None:
    text = clean_text(value).strip()[:_MAX_TITLE] if isinstance(value, str) else ""
    return None if text.lower() in _NULL else text


def _read_tags(value: Any) -> list[str]:
    tags = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return [text for tag in tags if (text := _read_text(tag))][:_MAX_TAGS]


def _read_date(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


_KEYS: Mapping[str, tuple[type[Field], Callable[[Any], Any]]] = {
    "title": (Keyword, _read_text),
    "tags": (Keywords, _read_tags),
    "date": (DateTime, _read_date),
}
