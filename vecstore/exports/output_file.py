"""The file of an export: it has its name when it is complete, and not before."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from ..errors import InvalidArgument, StorageFailed
from ..registry import schemes
from ..urls import read_local_path


def check_path(file: object) -> str:
    """Return the path of a file, given as a path or a ``file:`` URL.

    Raises
    ------
    InvalidArgument
    """
    if not isinstance(file, str | os.PathLike) or not (path := os.fspath(file)) or not isinstance(path, str):
        raise InvalidArgument(f"file must be the path of a file, not {type(file).__name__}.")
    if "\0" in path:
        raise InvalidArgument("file contains a NUL character, which a path cannot have.")
    return read_local_path(path, schemes()) if isinstance(file, str) else os.path.expanduser(path)


@contextmanager
def open_output(path: str, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """Yield a stream to write to, which replaces the file of that path when the block ends without an error.

    Raises
    ------
    InvalidArgument
        The file exists, or there is no directory for it.
    StorageFailed
    """
    directory = os.path.dirname(path) or "."
    if os.path.isdir(path) or (os.path.lexists(path) and not overwrite):
        raise InvalidArgument(f"{path} exists. Choose another name, or replace a file with overwrite=True.")
    if not os.path.isdir(directory):
        raise InvalidArgument(f"{path}: there is no directory {directory}. Make it, or choose another place.")
    part = f"{path}.{secrets.token_hex(4)}.part"
    try:
        stream = open(part, "xb")  # noqa: SIM115 - an error here is one of the directory
    except FileNotFoundError as error:
        raise StorageFailed(f"{directory}: no file can be made there.") from error
    except OSError as error:
        raise StorageFailed(f"{path}: {_describe(error)}.") from error
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except OSError as error:
        raise StorageFailed(f"{path}: {_describe(error)}.") from error
    finally:
        with suppress(OSError):
            os.unlink(part)


def _describe(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
