"""Connections for reading one file, kept open and shared by threads."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from vecstore.errors import DatabaseReplaced, StoreCorrupt

from . import fork_gate, os_calls
from .commit_mark import FileState
from .connections import DatabaseKind, SqliteConnection, open_connection
from .failures import DRIVER_ERRORS

_IDLE = 8
"""More connections than these are closed when they are checked in."""


class ForkGuard:
    """Delay forks while the context uses a database file; see `fork_gate`.

    Raises
    ------
    Unsupported
        This process is a child that was forked while another thread used the file.
    """

    __slots__ = ("_gate", "_path")

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._gate = fork_gate.gate

    def __enter__(self) -> None:
        if self._path in fork_gate.unsafe:
            fork_gate.refuse_unsafe()
        gate = self._gate = fork_gate.gate
        with gate.lock:
            if not (fork_gate.own.depth or gate.is_open):
                gate.moved.wait_for(lambda: gate.is_open)
            gate.users[self._path] = gate.users.get(self._path, 0) + 1
        fork_gate.own.depth += 1

    def __exit__(self, *_: object) -> None:
        fork_gate.own.depth -= 1
        gate = self._gate
        with gate.lock:
            gate.users[self._path] -= 1
            if not gate.users[self._path]:
                del gate.users[self._path]
            if not gate.is_open:
                gate.moved.notify_all()


class CheckOut(ForkGuard):
    """A connection of a pool while the context lasts. No generator: every read enters two of these."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: SqlitePool) -> None:
        super().__init__(pool.name)
        self._pool = pool

    def __enter__(self) -> SqliteConnection:  # type: ignore[override]
        super().__enter__()
        try:
            connection = self._connection = self._pool.take()
        except BaseException:
            super().__exit__()
            raise
        return connection

    def __exit__(self, *raised: object) -> None:
        try:
            if raised and isinstance(raised[1], (*DRIVER_ERRORS, StoreCorrupt)):
                self._connection.close()
            else:
                self._pool.give_back(self._connection)
        finally:
            super().__exit__()


class SqlitePool:
    """A pool of connections for reading one file; any thread may check one out.

    The file is the one that was there at first: once something else is at its path, nothing is read from it any more.
    """

    def __init__(self, path: Path, kind: DatabaseKind, timeout: float) -> None:
        self.path, self.name = path, str(path)
        self._origin: tuple[int, int] | None = None
        self._kind = kind
        self._timeout = timeout
        self._idle: list[SqliteConnection] = []
        self._lock = Lock()
        self._open = True

    def check_out(self) -> CheckOut:
        """Check out a connection while the context lasts."""
        return CheckOut(self)

    def check_origin(self) -> FileState | None:
        """Refuse the file if another one, or none, is at its path. Return what every change of it changes.

        Raises
        ------
        DatabaseReplaced
        """
        try:
            status = os_calls.read_status(self.name)
        except (FileNotFoundError, NotADirectoryError):
            if self._origin is None:
                return None  # opening it says what is wrong
            raise DatabaseReplaced(self.name) from None
        identity = status.st_dev, status.st_ino
        if identity != self._origin:
            with self._lock:
                self._origin = self._origin or identity
            if identity != self._origin:
                raise DatabaseReplaced(self.name)
        return status.st_mtime_ns, status.st_size

    def close(self) -> None:
        """Close every connection; one in use is closed when it is checked in."""
        with self._lock:
            idle, self._idle, self._open = self._idle, [], False
        for connection in idle:
            connection.close()

    def take(self) -> SqliteConnection:
        """Return an idle connection, or a new one; only `CheckOut` calls this.

        Raises
        ------
        DatabaseReplaced
        """
        state = self.check_origin()
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            connection.file_state = state
            return connection
        connection = open_connection(self.path, self._kind, self._timeout)
        connection.file_state = state
        try:
            self.check_origin()
        except DatabaseReplaced:
            connection.close()
            raise
        return connection

    def give_back(self, connection: SqliteConnection) -> None:
        """Keep a connection for the next one who asks; only `CheckOut` calls this."""
        with self._lock:
            if self._open and len(self._idle) < _IDLE and not connection.in_transaction:
                self._idle.append(connection)
                return
        connection.close()
