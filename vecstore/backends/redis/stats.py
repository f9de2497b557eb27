"""Statistics of a generation, and the state of its index."""

from __future__ import annotations

from typing import Literal

from vecstore.backend import Generation, IndexState, Stats
from vecstore.index_options import HNSW

from .client import Client
from .counts import count_records, count_vectors
from .durability import describe_durability
from .generation_guard import GenerationGuard
from .keys import Keys
from .server_checks import Server

_SAMPLE = 20
"""Records whose memory stands for that of all."""


def collect_stats(client: Client, keys: Keys, guard: GenerationGuard, server: Server, generation: Generation) -> Stats:
    """Return figures about records, index and server."""
    state, count = guard.read(generation), count_records(guard, generation)
    info, _ = guard.read_index(generation, state.index)
    index_bytes = info.bytes if info else 0
    details: dict[str, str | int | float] = {
        "server": server.version,
        "index": state.index,
        "index bytes": index_bytes,
        "refused by the index": info.failures if info else 0,
        **describe_durability(client),
    }
    return Stats(count, index_bytes + _estimate_bytes(client, keys, generation, count), details)


def read_index_state(client: Client, keys: Keys, guard: GenerationGuard, generation: Generation) -> IndexState:
    """Say how far the index is."""
    state, count = guard.read(generation), count_records(guard, generation)
    info, _ = guard.read_index(generation, state.index)
    least = client.options.index_min_rows
    if info is None:
        return IndexState("invalid", count, 0, least)
    # A write may have come between both counts.
    bare = max(0, count - count_vectors(guard, generation)) if generation.schema.has_optional_vectors else 0
    if state.kind == "hnsw":
        kind: Literal["ready", "building"] = "ready" if info.complete else "building"
        return IndexState(kind, count, max(0, info.records - bare), least, info.ef_construction, bare)
    is_building = client.execute("EXISTS", keys.lock("index", generation.id))
    is_wanted = isinstance(generation.schema.index, HNSW)
    return IndexState("building" if is_building and is_wanted else "none", count, 0, least, without_vector=bare)


def _estimate_bytes(client: Client, keys: Keys, generation: Generation, count: int) -> int:
    """Estimate the memory of all records from a few of them."""
    ids = client.execute("ZRANGE", keys.ids(generation.id), 0, _SAMPLE - 1)
    if not ids:
        return 0
    prefix = keys.records(generation.id)
    replies = client.pipeline([("MEMORY", "USAGE", prefix + id_.decode()) for id_ in ids])
    sizes = [size for size in replies if isinstance(size, int)]
    return sum(sizes) * count // max(1, len(sizes))
