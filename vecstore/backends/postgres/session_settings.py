"""Timeouts and keepalives of a connection: what this side asks of the system, and what the server is asked to set.

Both sides notice within about a minute that the machine of the other one has vanished.
"""

from __future__ import annotations

from typing import Any

from .options import Options

_IDLE, _INTERVAL, _COUNT = 30, 10, 3
"""Seconds without traffic before a keepalive, seconds between two of them, and how many may be lost."""
RESTING = (
    f"SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL tcp_keepalives_idle = {_IDLE}; "
    f"SET LOCAL tcp_keepalives_interval = {_INTERVAL}; SET LOCAL tcp_keepalives_count = {_COUNT}"
)
"""Settings of the server for a transaction that stays open for long, such as one that holds a builder's lock."""


def make_arguments(options: Options) -> dict[str, Any]:
    """Return the arguments with which psycopg connects, except those that a URL gives."""
    seconds = max(1, round(options.timeout))
    arguments: dict[str, Any] = {
        "autocommit": True,
        "connect_timeout": seconds,
        "tcp_user_timeout": seconds * 1000,
        "keepalives_idle": _IDLE,
        "keepalives_interval": _INTERVAL,
        "keepalives_count": _COUNT,
        "application_name": "vecstore",
        "client_encoding": "utf8",
        "prepare_threshold": 1 if options.prepare else None,
    }
    if options.prepare:
        arguments["options"] = f"-c statement_timeout={int(options.timeout * 1000)} -c plan_cache_mode=auto"
    return arguments
