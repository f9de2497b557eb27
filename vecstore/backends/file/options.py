"""What a ``file:`` URL says: the directory, and parameters by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from vecstore.errors import InvalidUrl

from ..shared.url_options import MIN_ROWS, MODE, Parameter, seconds, split


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


_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "timeout": Parameter("timeout", seconds(positive=False), "seconds, 0 to 86400"),
        "lock_timeout": Parameter("lock_timeout", seconds(positive=False), "seconds, 0 to 86400"),
        "mode": MODE,
        "index_min_rows": MIN_ROWS,
    }
)


def parse(parameters: Mapping[str, str]) -> Options:
    """Return the options that a URL's parameters give.

    Raises
    ------
    InvalidUrl
    """
    values, _ = split(parameters, _PARAMETERS, (), "file")
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
