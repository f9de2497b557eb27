"""Ports for servers on the loopback address."""

from __future__ import annotations

import secrets
import socket

_BELOW_EPHEMERAL = range(15_000, 32_000)


def free_port() -> int:
    """Return a free port below the range of ephemeral ports.

    No outgoing connection takes it while its server is down for a moment.
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
