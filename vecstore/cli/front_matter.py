"""The YAML front matter of a Markdown document: what it is, and what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MAX_SIZE = 64 << 10
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
    ``key: value``. Anything else, such as a horizontal rule with another one further down, is text.
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
        values = yaml.load(source, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError):
        return None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        return None
    return values
