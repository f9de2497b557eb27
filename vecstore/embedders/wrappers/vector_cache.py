"""A file of vectors that were made before, shared by processes: an SQLite database that may be lost at any time.

Every row carries a digest over its key and its bytes, so a row that was damaged is found out and made anew. A file that
SQLite cannot read is removed. Whatever goes wrong here, a caller gets a right vector or none.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_FILE = "vectors-1.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS model (fingerprint TEXT PRIMARY KEY, config TEXT NOT NULL, identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vector (key BLOB PRIMARY KEY, data BLOB NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS vector_used ON vector (used);
CREATE TABLE IF NOT EXISTS total (one INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
INSERT OR IGNORE INTO total VALUES (1, 0);
"""
_DIGEST = 8
_ROW_BYTES = 100
"""What a row takes beside its vector, about."""
_GRAIN = 60
"""Seconds: a row that was used within them is not marked again."""
_KEYS = 500
_BUSY = 2.0
_PASSING = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT,
})  # fmt: skip
"""Failures that say nothing against the file: the next call may have more luck."""

R = TypeVar("R")


class VectorCache:
    """The vectors in a folder.

    Parameters
    ----------
    folder : path
    max_bytes : int
        The rows that were not used for longest are removed beyond it.
    wall : callable
        Seconds since 1970.
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int, wall: Callable[[], float] = time.time) -> None:
        self._path = Path(folder).expanduser() / _FILE
        self._max_bytes = max_bytes
        self._wall = wall
        self._local = threading.local()

    def find_model(self, config: str, matches: Callable[[str], bool], identity: str) -> str:
        """Return the fingerprint of a model, under which its vectors are: that of one with its config that it matches.

        Without one it is noted as a new model.
        """
        fingerprint = _digest_model(config, identity)

        def find(connection: sqlite3.Connection) -> str:
            rows = connection.execute("SELECT fingerprint, identity FROM model WHERE config = ?", (config,)).fetchall()
            for known, stored in rows:
                if known == _digest_model(config, str(stored)) and matches(stored):
                    return str(known)
            with connection:
                connection.execute("INSERT OR REPLACE INTO model VALUES (?, ?, ?)", (fingerprint, config, identity))
            return fingerprint

        return self._run(find, fingerprint)

    def read(self, keys: Sequence[bytes], dim: int) -> dict[bytes, NDArray[np.float32]]:
        """Return those vectors that are there and whole."""

        def find(connection: sqlite3.Connection) -> dict[bytes, NDArray[np.float32]]:
            found: dict[bytes, NDArray[np.float32]] = {}
            now, stale = int(self._wall()), []
            for start in range(0, len(keys), _KEYS):
                part = keys[start : start + _KEYS]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, data, used FROM vector WHERE key IN ({marks})"  # noqa: S608 - marks alone
                for key, data, used in connection.execute(query, part):
                    vector = _unpack(key, data, dim)
                    if vector is not None:
                        found[key] = vector
                        if used < now - _GRAIN:
                            stale.append((now, key))
            if stale:
                with connection:
                    connection.executemany("UPDATE vector SET used = ? WHERE key = ?", stale)
            return found

        return self._run(find, {})

    def write(self, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep vectors, and remove the least recently used ones beyond the bound."""
        now = int(self._wall())
        rows = [(key, _pack(key, vector), now) for key, vector in vectors.items()]

        def keep(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?, ?)", rows)
                added = sum(len(data) + _ROW_BYTES for _, data, _ in rows)
                connection.execute("UPDATE total SET bytes = bytes + ?", (added,))
                ((total,),) = connection.execute("SELECT bytes FROM total")
                if total > self._max_bytes:
                    self._evict(connection)

        self._run(keep, None)

    def _evict(self, connection: sqlite3.Connection) -> None:
        # Counted anew, because replaced rows were counted twice; a tenth is free afterwards, so that this is rare.
        count = "SELECT COALESCE(SUM(LENGTH(data) + ?), 0) FROM vector"
        ((total,),) = connection.execute(count, (_ROW_BYTES,))
        surplus, last = total - self._max_bytes, []
        if surplus > 0:
            surplus += self._max_bytes // 10
            for key, size in connection.execute("SELECT key, LENGTH(data) FROM vector ORDER BY used, key"):
                if surplus <= 0:
                    break
                surplus -= size + _ROW_BYTES
                last.append((key,))
            connection.executemany("DELETE FROM vector WHERE key = ?", last)
            ((total,),) = connection.execute(count, (_ROW_BYTES,))
        connection.execute("UPDATE total SET bytes = ?", (total,))

    def _run(self, work: Callable[[sqlite3.Connection], R], otherwise: R) -> R:
        """Return what ``work`` does with the file, which is made anew where SQLite cannot read it, or ``otherwise``."""
        for _ in range(2):
            try:
                return work(self._connect())
            except (sqlite3.Error, OSError, TypeError, ValueError, OverflowError) as error:
                self._close()
                if isinstance(error, OSError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                    return otherwise
                self._remove()
        return otherwise

    def _connect(self) -> sqlite3.Connection:
        # A connection must not be used in a forked child, not even to be closed.
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.inherited = getattr(self._local, "connection", None)
            self._local.connection, self._local.pid = None, os.getpid()
        if self._local.connection is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(self._path, timeout=_BUSY, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = OFF")
                connection.executescript(_SCHEMA)
            except BaseException:
                connection.close()
                raise
            self._local.connection = connection
        found: sqlite3.Connection = self._local.connection
        return found

    def close(self) -> None:
        """Close this thread's connection."""
        self._close()

    def _close(self) -> None:
        connection: Any = getattr(self._local, "connection", None)
        if connection is not None and self._local.pid == os.getpid():
            self._local.connection = None
            with suppress(sqlite3.Error):
                connection.close()

    def _remove(self) -> None:
        with suppress(OSError):
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)


def _digest_model(config: str, identity: str) -> str:
    """Return the fingerprint of a model with its settings, some of which its identity leaves out."""
    return hashlib.sha256(f"{config}\0{identity}".encode()).hexdigest()


def _pack(key: bytes, vector: NDArray[np.float32]) -> bytes:
    data = vector.astype("<f4").tobytes()
    return data + hashlib.blake2b(data, key=key, digest_size=_DIGEST).digest()


def _unpack(key: object, data: object, dim: int) -> NDArray[np.float32] | None:
    if not isinstance(key, bytes) or not isinstance(data, bytes) or len(data) != 4 * dim + _DIGEST:
        return None
    numbers = data[:-_DIGEST]
    if hashlib.blake2b(numbers, key=key, digest_size=_DIGEST).digest() != data[-_DIGEST:]:
        return None
    return np.frombuffer(numbers, "<f4").astype(np.float32)
