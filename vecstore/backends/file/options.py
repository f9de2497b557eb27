"""What a ``file:`` URL says: the directory, and parameters by name."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from ...errors import InvalidUrl, close_matches


@dataclass(frozen=True, slots=True)
class Options:
    """Parameters of the URL.

    Attributes
    ----------
    timeout : float
        Seconds that SQLite waits for another process's commit or read.
    lock_timeout : float
        Seconds that a writer waits for another one.
    read_only : bool
        ``mode=ro``.
    index_min_rows : int
        Fewer records get no index: exact search is as fast.
    """

    timeout: float = 30.0
    lock_timeout: float = 5.0
    read_only: bool = False
    index_min_rows: int = 10_000


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0 <= value <= 86_400):
        raise ValueError
    return value


def _rows(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _is_read_only(text: str) -> bool:
    return {"rw": False, "ro": True}[text]


_PARAMETERS: Mapping[str, tuple[str, Callable[[str], Any], str]] = MappingProxyType(
    {
        "timeout": ("timeout", _seconds, "seconds, 0 to 86400"),
        "lock_timeout": ("lock_timeout", _seconds, "seconds, 0 to 86400"),
        "mode": ("read_only", _is_read_only, "rw or ro"),
        "index_min_rows": ("index_min_rows", _rows, "a whole number of at least 1"),
    }
)


def parse(parameters: Mapping[str, str]) -> Options:
    """Return the options that a URL's parameters give.

    Raises
    ------
    InvalidUrl
    """
    values: dict[str, Any] = {}
    for name, text in parameters.items():
        if name not in _PARAMETERS:
            raise InvalidUrl(f"file: has no parameter {name[:40]!a}.{close_matches(name, _PARAMETERS)}")
        attribute, convert, expected = _PARAMETERS[name]
        try:
            values[attribute] = convert(text)
        except (ValueError, KeyError) as error:
            raise InvalidUrl(f"The URL's parameter {name} must be {expected}, not {text[:40]!a}.") from error
    return Options(**values)


def directory(location: str) -> Path:
    """Return the absolute path that the part of a URL after ``file:`` names.

    Raises
    ------
    InvalidUrl
    """
    path = location
    if location.startswith("//"):
        host, slash, rest = location[2:].partition("/")
        if host not in {"", "localhost"} or not slash:
            raise InvalidUrl("A file: URL names no host. Write file:./directory or file:///absolute/directory.")
        path = "/" + rest
    path = unquote(path)
    if not path or "\0" in path:
        raise InvalidUrl("A file: URL names a directory: file:./directory or file:///absolute/directory.")
    # A later change of the working directory must not move the database.
    return Path(os.path.abspath(path))
