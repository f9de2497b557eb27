"""All file calls of this backend to the operating system, except those of SQLite.

Tests replace ``os`` and ``fcntl`` in this module, to make each call fail and to observe each fsync.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from vecstore.errors import StoreCorrupt

_SAFE = os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK = 1 << 20
read_status = os.lstat
"""The status of a path itself. The function of the system, because every search calls it."""


def write_new_file(path: Path, chunks: Iterable[bytes | memoryview]) -> int:
    """Write a new file, which appears complete and durable, or not at all.

    Returns
    -------
    int
        The size in bytes.
    """
    size = 0
    with stream_new_file(path) as put:
        for chunk in chunks:
            size += put(chunk)
    return size


@contextlib.contextmanager
def stream_new_file(path: Path, *, named: bool = True) -> Iterator[Callable[[bytes | memoryview], int]]:
    """Give a function that writes to a new file, which appears when the context ends; see `write_new_file`.

    Without ``named``, its name is durable only when that of the next file in the directory is.
    """
    unfinished = path.with_name(path.name + ".tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
    try:
        try:
            yield partial(_write_all, descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise
    if named:
        sync_directory(path.parent)


def create_empty_file(path: Path) -> None:
    """Create a file that only its owner may read; SQLite would create one that everyone may read."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600))


def create_mark(path: Path) -> None:
    """Create an empty marker file durably; an existing one is left unchanged."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | _SAFE, 0o600))
    sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make a directory that only its owner may read, without syncing; an existing one is left unchanged."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not is_directory(path):
            raise


def make_root(path: Path) -> None:
    """Make the database's directory and any missing parents, durably."""
    if not path.is_dir():
        if not path.parent.is_dir():
            make_root(path.parent)
        make_directory(path)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _SAFE)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(old: Path, new: Path) -> None:
    """Rename a file, without syncing."""
    os.rename(old, new)


def unlink(path: Path) -> None:
    """Remove a file if it exists."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_tree(path: Path, last: str = "") -> None:
    """Remove a directory and everything in it without following links; the file called ``last`` goes last."""
    for name in sorted(list_names(path), key=lambda name: name == last):
        child = path / name
        if is_directory(child):
            remove_tree(child)
        else:
            unlink(child)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)


def list_names(path: Path) -> list[str]:
    """Return the names in a directory, sorted; an empty list if there is no directory."""
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def measure_size(path: Path) -> int:
    """Return the total size in bytes of the files below a path."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return 0
    if stat.S_ISDIR(status.st_mode):
        return sum(measure_size(path / name) for name in list_names(path))
    return status.st_size


def is_directory(path: Path) -> bool:
    """Say whether a path is a directory itself, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def read_identity(path: Path) -> tuple[int, int] | None:
    """Return the identity of a regular file, which differs once the file is replaced; None if it is missing.

    Raises
    ------
    StoreCorrupt
        The path is not a regular file; links are never followed.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise StoreCorrupt(f"{path} is not a regular file. vecstore follows no links inside its directory.")
    return status.st_dev, status.st_ino


def map_file(path: Path, size: int) -> mmap.mmap:
    """Map a file for reading. Its size is checked first: reading beyond the end of a map kills the process."""
    descriptor = os.open(path, os.O_RDONLY | _SAFE)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            raise StoreCorrupt(
                f"{path} has {status.st_size:,} bytes, but {size:,} were written. Restore it from a backup."
            )
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in order."""
    descriptor = os.open(path, os.O_RDONLY | _SAFE)
    try:
        done = 0
        while chunk := os.pread(descriptor, _BLOCK, done):
            yield chunk
            done += len(chunk)
    finally:
        os.close(descriptor)


def open_lock(path: Path) -> int:
    """Open a lock file, created if missing; return its descriptor."""
    return os.open(path, os.O_RDWR | os.O_CREAT | _SAFE, 0o600)


def open_for_reading(path: Path) -> int:
    """Open a file for reading; return its descriptor."""
    return os.open(path, os.O_RDONLY | _SAFE)


def close(descriptor: int) -> None:
    """Close a descriptor."""
    os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock a file against all other descriptors of it; return False if another one holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


def unlock(descriptor: int) -> None:
    """Release a lock, including on copies of the descriptor made by a fork."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_file_at(descriptor: int, path: Path) -> bool:
    """Say whether a path still names the file of a descriptor."""
    status = os.fstat(descriptor)
    return read_identity(path) == (status.st_dev, status.st_ino)


def has_name(descriptor: int) -> bool:
    """Say whether an open file is still in a directory."""
    return os.fstat(descriptor).st_nlink > 0


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Return up to ``size`` bytes of a file."""
    return os.pread(descriptor, size, offset)


def read_each(places: Iterable[tuple[int, int]], size: int) -> list[bytes]:
    """Return up to ``size`` bytes from each place, a descriptor and an offset."""
    return [os.pread(descriptor, size, offset) for descriptor, offset in places]


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write a few bytes, without syncing."""
    os.pwrite(descriptor, data, offset)


def _write_all(descriptor: int, data: bytes | memoryview) -> int:
    view: Sequence[int] = memoryview(data).cast("B")
    total = len(view)
    done = 0
    while done < total:
        done += os.write(descriptor, view[done : done + _BLOCK])  # type: ignore[arg-type]
    return total
