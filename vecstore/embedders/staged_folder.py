"""A folder that has its name when it is complete, and not before, whatever kills the process."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InvalidArgument, StorageFailed

_ENDING = ".vecstore-part"
"""A name that nobody else gives: what has it is removed."""


@contextmanager
def stage_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder to fill, which becomes ``target`` when the block ends without an error.

    What a killed process left beside it is removed by the next call for the same target.

    Raises
    ------
    InvalidArgument
        There is something at ``target``, or no directory for it.
    StorageFailed
    """
    path = Path(os.path.expanduser(target)).absolute()
    if os.path.lexists(path):
        raise InvalidArgument(f"{path} exists. Choose another name, or remove it first.")
    if not path.parent.is_dir():
        raise InvalidArgument(f"{path}: there is no directory {path.parent}. Make it, or choose another place.")
    _remove_left(path)
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_ENDING}")
    try:
        part.mkdir()
        with _lock(part):
            yield part
            for each in sorted(part.rglob("*")):
                _sync(each)
            _sync(part)
            os.rename(part, path)
            _sync(path.parent)
    except OSError as error:
        raise StorageFailed(f"{path}: {os.strerror(error.errno or 0).lower()}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Show the next call that somebody fills the folder. The lock ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove_left(path: Path) -> None:
    ours = re.compile(rf"{re.escape(path.name)}\.[0-9a-f]{{16}}{re.escape(_ENDING)}")
    for part in path.parent.iterdir():
        if not ours.fullmatch(part.name):
            continue
        try:
            handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # gone, or no folder of ours
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # another process fills it
        else:
            shutil.rmtree(part, ignore_errors=True)
        finally:
            os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
