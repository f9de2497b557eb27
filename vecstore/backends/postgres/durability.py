"""Whether an acknowledged write is on disk, which the server's settings decide."""

from __future__ import annotations

from types import MappingProxyType

from .client import Client
from .statements import Statement

_FSYNC = Statement("SELECT current_setting('fsync')", MappingProxyType({}))
_SYNCHRONOUS = Statement("SELECT set_config('synchronous_commit', 'on', true)", MappingProxyType({}))
_NUMBERED = Statement("SELECT pg_current_xact_id()::text", MappingProxyType({}), writes=True)
"""A transaction with a number has a commit to wait for."""


def explain_volatility(client: Client) -> str | None:
    """Say why the server may forget what it acknowledged, even if somebody waits for its disk; None if it does not."""
    [(fsync,)] = client.run(_FSYNC, {})
    return None if fsync == "on" else "The server runs with fsync=off: turn it on."


def wait_for_disk(client: Client) -> None:
    """Wait until every commit so far is on disk, also where ``synchronous_commit`` is off: the log is one sequence."""
    with client.transaction() as transaction:
        transaction.run(_SYNCHRONOUS, {})
        transaction.run(_NUMBERED, {})
