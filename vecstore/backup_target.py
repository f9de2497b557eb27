"""The directory that a backup goes to: a path or a ``file:`` URL; it must be new or empty."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InvalidArgument
from .registry import schemes
from .urls import read_local_path


def check_empty_directory(target: object) -> str:
    """Return the path of a directory that is missing or empty.

    Raises
    ------
    InvalidArgument
    """
    if not isinstance(target, str | os.PathLike) or not (path := os.fspath(target)) or not isinstance(path, str):
        raise InvalidArgument(f"target must be the path of a directory, not {type(target).__name__}.")
    if "\0" in path:
        raise InvalidArgument("target contains a NUL character, which a path cannot have.")
    path = read_local_path(path, schemes()) if isinstance(target, str) else os.path.expanduser(path)
    try:
        is_taken = os.path.lexists(path) and any(Path(path).iterdir())
    except OSError as error:
        raise InvalidArgument(f"{path!a} is not a readable directory. Give another path.") from error
    if is_taken:
        raise InvalidArgument(f"{path!a} is not empty. Give another path.")
    return path
