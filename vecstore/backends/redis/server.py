"""What the server is: read once, when a Database is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

from vecstore.errors import StorageFailed, Unsupported

from ..shared.guards import refuse_newer
from .failures import code_of, meaning
from .keys import Keys
from .link import Link, checked

_RESP3 = (
    "Only RESP3 says when an answer is partial. Make the client with redis.Redis(…, protocol=3), or give a URL instead."
)
_EVICTING = "allkeys-"
FORMAT = b"1"
_DENIED = "unknown (CONFIG is not permitted)"


@dataclass(frozen=True, slots=True)
class Server:
    """Facts about a server.

    Attributes
    ----------
    version : str
        As it calls itself, for people to read; nothing is decided by it.
    replica : bool
    """

    version: str
    replica: bool


def facts(link: Link, keys: Keys) -> Server:
    """Look at a server, and refuse one that would answer incompletely or lose records.

    Raises
    ------
    Unsupported, ExtensionMissing, StorageFailed, BackendUnavailable
    """
    hello, info, indexes, found = link.ask([("HELLO",), ("INFO",), ("FT._LIST",), ("GET", keys.format)])
    if not isinstance(checked(hello), dict):
        raise Unsupported("RESP2", "redis", _RESP3)
    known = described(checked(info))
    if known.get("cluster_enabled") == "1":
        raise Unsupported("a cluster", "redis", "Connect to a single server, or through Sentinel.")
    checked(indexes)
    if checked(found) not in {None, FORMAT}:
        refuse_newer("this layout of keys", "redis")
    check_eviction(known)
    if link.options.wait_aof:
        check_append_only(known)
    name = "Valkey" if known.get("server_name") == "valkey" else "Redis"
    version = known.get("valkey_version") or known.get("redis_version", "?")
    return Server(f"{name} {version}", known.get("role") == "slave")


def described(info: bytes) -> dict[str, str]:
    """Return what INFO says by name."""
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in lines}


def check_eviction(known: Mapping[str, str]) -> None:
    """Refuse a server that throws records away when it is short of memory.

    Raises
    ------
    StorageFailed
    """
    policy = known.get("maxmemory_policy", "")
    if policy.startswith(_EVICTING):
        raise StorageFailed(
            f"The server's maxmemory-policy is {policy}: it would drop records without a word when memory is short. "
            "Set it to noeviction, or to one of volatile-…, which spare keys that do not expire."
        )


def check_append_only(known: Mapping[str, str]) -> None:
    """Refuse a server that has no append-only file to wait for.

    Raises
    ------
    Unsupported
    """
    if known.get("aof_enabled") != "1":
        raise Unsupported("wait_aof=on", "redis", "The server keeps no append-only file: turn appendonly on.")


def durability(link: Link) -> dict[str, str]:
    """Return what the server's settings make of a write when the server is killed, or the power fails."""
    info, *settings = link.ask([("INFO", "persistence"), ("CONFIG", "GET", "appendfsync"), ("CONFIG", "GET", "save")])
    has_aof = described(checked(info)).get("aof_enabled") == "1"
    fsync, save = (_setting(reply) for reply in settings)
    if not has_aof:
        snapshots = "nothing is saved" if save == "" else f"snapshots only (save {save})"
        return {"durability": f"none between snapshots: {snapshots}; turn appendonly on"}
    meanings = {
        "always": "every acknowledged write is on the disk",
        "everysec": "survives the end of the server; a power failure may take the last second or two",
        "no": "survives the end of the server; a power failure takes what the system had not written",
    }
    return {"durability": f"append-only file, appendfsync {fsync}: {meanings.get(fsync, 'unknown')}"}


def _setting(reply: Any) -> str:
    if isinstance(reply, redis.RedisError):
        if code_of(reply) in {"NOPERM", "ERR", ""}:
            return _DENIED
        raise meaning(reply) from reply
    values = list(reply.values()) if isinstance(reply, dict) else reply[1::2]
    return values[0].decode() if values else _DENIED
