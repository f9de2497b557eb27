"""Settings of connections and sessions: timeouts, keepalives, locks, and what an index build may use.

Both sides notice within about a minute that the machine of the other one has vanished: the keepalives of this side are
arguments of the connection, those of the server are settings of a transaction that stays open for long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import psycopg

from .options import Options
from .server_checks import SAFE_PARALLEL_BUILDS, Server
from .statements import Statement

_IDLE, _INTERVAL, _COUNT = 30, 10, 3
"""Seconds without traffic before a keepalive, seconds between two of them, and how many may be lost."""
RESTING = (
    f"SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL tcp_keepalives_idle = {_IDLE}; "
    f"SET LOCAL tcp_keepalives_interval = {_INTERVAL}; SET LOCAL tcp_keepalives_count = {_COUNT}"
)
"""Settings of the server for a transaction that stays open for long, such as one that holds a builder's lock."""
LOCK_TIMEOUT = Statement("SELECT set_config('lock_timeout', %(lock_timeout)s, true)", MappingProxyType({}))
"""How long a transaction waits for a lock; see `format_lock_timeout`."""


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


def limit_statements(connection: psycopg.Connection[Any], options: Options) -> None:
    """Set the timeout of statements for a transaction.

    Behind PgBouncer, a setting of the session would apply to other clients too.
    """
    limit = str(int(options.timeout * 1000))
    connection.execute("SELECT set_config('statement_timeout', %s, true)", (limit,), prepare=False)


def format_lock_timeout(options: Options) -> str:
    """Return the value of ``lock_timeout``."""
    return f"{int(options.lock_timeout * 1000)}ms"


def make_build_settings(options: Options, server: Server) -> dict[str, str]:
    """Return the settings of a session that builds an index; none behind PgBouncer, which keeps the server's."""
    if not options.prepare:
        return {}
    settings = {"statement_timeout": "0", "lock_timeout": "0"}
    if options.build_memory:
        settings["maintenance_work_mem"] = f"{options.build_memory}MB"
    if options.build_workers is not None:
        settings["max_parallel_maintenance_workers"] = str(options.build_workers)
    if server.pgvector < SAFE_PARALLEL_BUILDS:
        settings["max_parallel_maintenance_workers"] = "0"
    return settings


@contextmanager
def change_settings(connection: psycopg.Connection[Any], settings: Mapping[str, str]) -> Iterator[None]:
    """Change settings of a session inside the context, and restore them afterwards."""
    before = {name: _change_setting(connection, name, value) for name, value in settings.items()}
    try:
        yield
    finally:
        if not connection.closed:
            for name, value in before.items():
                _change_setting(connection, name, value)


def _change_setting(connection: psycopg.Connection[Any], name: str, value: str) -> str:
    """Change a setting of the session and return its previous value."""
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    return str(row[0]) if row else ""
