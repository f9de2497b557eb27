"""How the graphs of a table's partitions are built: how many at once, with how many processes and how much memory each.

All builds together use what one build of one graph may use: the server's ``maintenance_work_mem``, which holds for each
CREATE INDEX, and a process beside ``max_parallel_maintenance_workers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .build_lanes import OTHERS
from .client import Client
from .column_types import NAMES
from .generation_table import Layout
from .server_checks import SAFE_PARALLEL_BUILDS, Server
from .statements import Statement

_READ = Statement(
    "SELECT pg_size_bytes(current_setting('maintenance_work_mem')), "
    "current_setting('max_parallel_maintenance_workers')::int",
    MappingProxyType({}),
)
_BYTES: Mapping[str, int] = MappingProxyType(dict(zip(NAMES.values(), (4, 2), strict=True)))
_PER_ROW, _PER_NEIGHBOUR = 300, 16
"""Bytes of pgvector's graph in memory beside the vector."""
_UNEVEN = 1.15
"""The largest partition may be so much larger than the mean; the hash of the ids decides."""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """How the graphs are built.

    Attributes
    ----------
    at_once : int
        Builds side by side, each on a connection of its own.
    memory : int
        Bytes for each; 0 leaves the setting.
    helpers : int or None
        Parallel workers of each; None leaves the setting.
    """

    at_once: int
    memory: int = 0
    helpers: int | None = None

    def list_settings(self) -> dict[str, str]:
        """Return the settings of a session that builds one of the graphs."""
        settings = {"maintenance_work_mem": f"{self.memory >> 10}kB"} if self.memory else {}
        if self.helpers is not None:
            settings["max_parallel_maintenance_workers"] = str(self.helpers)
        return settings


def estimate_graph(rows: int, dim: int, kind: str, m: int) -> int:
    """Return how many bytes pgvector needs to build a graph in memory."""
    return rows * (dim * _BYTES[kind] + _PER_ROW + 2 * m * _PER_NEIGHBOUR)


def divide_build(parts: int, largest: int, memory: int, helpers: int, connections: int) -> BuildPlan:
    """Return how to build so many graphs.

    Parameters
    ----------
    parts : int
    largest : int
        Bytes of the largest graph while it is built.
    memory : int
        Bytes that all builds together may use.
    helpers : int
        Parallel workers that one build may have.
    connections : int
    """
    at_once = max(1, min(parts, 1 + helpers, connections, memory // max(1, largest)))
    return BuildPlan(at_once, memory // at_once, (1 + helpers) // at_once - 1)


def plan_build(client: Client, server: Server, layout: Layout, rows: int, m: int) -> BuildPlan:
    """Return how to build the graphs of a table of so many rows."""
    options = client.options
    if layout.partitions == 1 or not (client.owned and options.prepare):
        return BuildPlan(1)
    [(memory, helpers)] = client.run(_READ, {})
    if server.pgvector < SAFE_PARALLEL_BUILDS:
        helpers = 0
    elif options.build_workers is not None:
        helpers = options.build_workers
    largest = estimate_graph(int(-(-rows // layout.partitions) * _UNEVEN), layout.schema.width, layout.indexed_as, m)
    connections = options.pool_size - OTHERS
    return divide_build(
        layout.partitions, largest, (options.build_memory << 20) or int(memory), int(helpers), connections
    )
