"""Whether a write is on disk: the wait for the append-only file, and what the server's settings promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis

from vecstore.errors import StorageFailed, Timeout

from .failures import check_reply
from .server_checks import parse_info, read_setting

if TYPE_CHECKING:
    from .client import Client

_SHARE = 0.5
"""The part of a call's timeout that the server may wait for its disk."""


def make_wait(timeout: float) -> tuple[str, int, int, int]:
    """Return the command that waits until what was written before it is in the append-only file, on disk."""
    return ("WAITAOF", 1, 0, max(1, int(timeout * 1000 * _SHARE)))


def check_on_disk(replies: list[Any]) -> list[Any]:
    """Return the replies without the last one, which tells whether the append-only file is on disk.

    Raises
    ------
    Timeout, StorageFailed
    """
    *others, aof = replies
    if isinstance(others[0], redis.RedisError):  # nothing was written
        return others
    if isinstance(aof, redis.RedisError):
        raise StorageFailed(
            "The write is made, but the server could not wait for its append-only file. Turn appendonly on there."
        ) from aof
    if aof[0] < 1:
        raise Timeout("The write is made, but was not on disk within half of the timeout. Check the server's disk.")
    return others


def explain_volatility(client: Client) -> str | None:
    """Say why the server may forget what it acknowledged, even if somebody waits for its disk; None if it does not."""
    if parse_info(check_reply(client.pipeline([("INFO", "persistence")])[0])).get("aof_enabled") == "1":
        return None
    return "The server keeps no append-only file: turn appendonly on."


def wait_for_disk(client: Client, key: str) -> None:
    """Wait until everything that was written so far is in the append-only file, on disk.

    Parameters
    ----------
    client : Client
    key : str
        A key to write and forget, because the server waits for what its caller has written.

    Raises
    ------
    Timeout, StorageFailed
    """
    if explain_volatility(client) is None:
        commands = [("SET", key, 1, "PX", 1_000), make_wait(client.options.timeout)]
        check_reply(check_on_disk(client.pipeline(commands, writes=False))[0])


def describe_durability(client: Client) -> dict[str, str]:
    """Describe what becomes of a write when the server is killed or the power fails, by the server's settings."""
    info, *settings = client.pipeline(
        [("INFO", "persistence"), ("CONFIG", "GET", "appendfsync"), ("CONFIG", "GET", "save")]
    )
    has_aof = parse_info(check_reply(info)).get("aof_enabled") == "1"
    fsync, save = (read_setting(reply) for reply in settings)
    if not has_aof:
        snapshots = "nothing is saved" if save == "" else f"snapshots only (save {save})"
        return {"durability": f"none between snapshots: {snapshots}; turn appendonly on"}
    meanings = {
        "always": "every acknowledged write is on disk",
        # Redis does not write to the file while it waits for the previous fsync, for up to two seconds.
        "everysec": "a kill of the server or a power failure may lose the last second or two",
        "no": "writes survive a kill of the server; a power failure loses what the system had not written",
    }
    return {"durability": f"append-only file, appendfsync {fsync}: {meanings.get(fsync, 'unknown')}"}
