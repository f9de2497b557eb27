"""Facts about the server, which are read once when a Database is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from vecstore.errors import StorageFailed, Unsupported

from ..shared.guards import refuse_newer
from .failures import check_reply, read_code, translate
from .keys import FIRST_LAYOUT, NEWEST_LAYOUT, Keys

if TYPE_CHECKING:
    from .client import Client

_RESP3 = (
    "Only RESP3 tells whether an answer is partial. Create the client with redis.Redis(…, protocol=3), or use a URL."
)
_EVICTING = "allkeys-"
_DENIED = "unknown (CONFIG is not permitted)"


@dataclass(frozen=True, slots=True)
class Server:
    """Facts about a server.

    Attributes
    ----------
    version : str
        Its name and version, for people to read only.
    replica : bool
    """

    version: str
    replica: bool


def read_server(client: Client, keys: Keys) -> Server:
    """Read the facts about a server, and refuse one that would return partial answers or lose records.

    Raises
    ------
    Unsupported, ExtensionMissing, StorageFailed, BackendUnavailable
    """
    hello, info, indexes, found = client.pipeline([("HELLO",), ("INFO",), ("FT._LIST",), ("GET", keys.format)])
    if not isinstance(check_reply(hello), dict):
        raise Unsupported("RESP2", "redis", _RESP3)
    known = parse_info(check_reply(info))
    if known.get("cluster_enabled") == "1":
        raise Unsupported("a cluster", "redis", "Connect to a single server, or through Sentinel.")
    check_reply(indexes)
    if check_reply(found) not in {None, *(b"%d" % each for each in range(FIRST_LAYOUT, NEWEST_LAYOUT + 1))}:
        refuse_newer("this layout of keys", "redis")
    check_eviction(known)
    if client.options.wait_aof:
        check_append_only(known)
    name = "Valkey" if known.get("server_name") == "valkey" else "Redis"
    version = known.get("valkey_version") or known.get("redis_version", "?")
    return Server(f"{name} {version}", known.get("role") == "slave")


def parse_info(info: bytes) -> dict[str, str]:
    """Return the values in a reply to INFO by name."""
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in lines}


def check_eviction(known: Mapping[str, str]) -> None:
    """Refuse a server that evicts records when it is short of memory.

    Raises
    ------
    StorageFailed
    """
    policy = known.get("maxmemory_policy", "")
    if policy.startswith(_EVICTING):
        raise StorageFailed(
            f"The server's maxmemory-policy is {policy}, which silently drops records when memory is short. "
            "Set it to noeviction, or to a volatile-… policy, which spares keys that do not expire."
        )


def check_append_only(known: Mapping[str, str]) -> None:
    """Refuse a server without an append-only file, which `wait_aof` waits for.

    Raises
    ------
    Unsupported
    """
    if known.get("aof_enabled") != "1":
        raise Unsupported("wait_aof=on", "redis", "The server keeps no append-only file. Turn appendonly on.")


def read_setting(reply: Any) -> str:
    """Return the value in a reply to CONFIG GET, or that it may not be read."""
    if isinstance(reply, redis.RedisError):
        if read_code(reply) in {"NOPERM", "ERR", ""}:
            return _DENIED
        raise translate(reply) from reply
    values = list(reply.values()) if isinstance(reply, dict) else reply[1::2]
    return values[0].decode() if values else _DENIED
