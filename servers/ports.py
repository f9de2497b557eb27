"""Ports for servers of the tests' own."""

from __future__ import annotations

import secrets
import socket

_BELOW_EPHEMERAL = range(15_000, 32_000)


def free_port() -> int:
    """Return a port that nobody listens on, from where the system takes none for outgoing connections.

    A server that is down for a moment then finds its port free again.
    """
    while True:
        port = secrets.choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
