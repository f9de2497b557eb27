"""A directory of the user's to write into."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InvalidArgument


def free_directory(target: object) -> str:
    """Return the path of a directory that does not exist or is empty.

    Raises
    ------
    InvalidArgument
    """
    if not isinstance(target, str | os.PathLike) or not (path := os.fspath(target)) or not isinstance(path, str):
        raise InvalidArgument(f"target must be the path of a directory, not {type(target).__name__}.")
    if "\0" in path:
        raise InvalidArgument("target holds a NUL character, which no path can.")
    try:
        taken = os.path.lexists(path) and any(Path(path).iterdir())
    except OSError as error:
        raise InvalidArgument(f"{path!a} is no directory that can be read. Give another path.") from error
    if taken:
        raise InvalidArgument(f"{path!a} is not empty. Give another path.")
    return path
