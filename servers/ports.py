"""Ports for servers on the loopback address."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import tempfile
from functools import cache
from pathlib import Path

_BELOW_EPHEMERAL = range(15_000, 32_000)
_reserved: set[int] = set()


def reserve_port() -> int:
    """Return a free port that no other caller of this function gets while this process lives.

    A server need not be listening on it all the time: a test may stop it and start it again on the same port. The port
    lies below the range of ephemeral ports, so no outgoing connection takes it meanwhile.
    """
    while True:
        port = secrets.choice(_BELOW_EPHEMERAL)
        if port not in _reserved and _lock(port) and _is_free(port):
            _reserved.add(port)
            return port


def _lock(port: int) -> bool:
    """Lock the byte of a port for this process, unless another process has it; the kernel unlocks it at the end."""
    try:
        fcntl.lockf(_open_lock_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


@cache
def _open_lock_file() -> int:
    """Open the file once: its locks would end as soon as this process closed any descriptor of it."""
    path = Path(tempfile.gettempdir()) / f"vecstore-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
