"""The socket of a connection, for whoever ends what takes too long."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import psycopg

from ..shared.deadlines import Socket

_KEY = "vecstore.socket"


def get_socket(connection: psycopg.Connection[Any], info: MutableMapping[Any, Any]) -> Socket:
    """Return a connection's socket, kept where the pool keeps what belongs to the connection."""
    found = info.get(_KEY)
    if not isinstance(found, Socket):
        found = info[_KEY] = Socket(connection.fileno())
    return found


def forget_socket(info: MutableMapping[Any, Any]) -> None:
    """Let go of the socket of a connection that is thrown away, or the server would not see it closed."""
    info.pop(_KEY, None)
