"""The machine and the versions, as the published tables name them."""

from __future__ import annotations

import os
import platform
import re
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

_PACKAGES = (
    "vecstore-db", "numpy", "faiss-cpu", "hnswlib", "usearch", "chromadb", "lancedb", "zvec", "qdrant-edge-py",
    "qdrant-client", "psycopg", "redis", "hiredis",
)  # fmt: skip
_SYNCS = 50


def describe_machine(folder: Path) -> dict[str, Any]:
    """Return what the figures depend on; subjects write to ``folder``."""
    return {
        "cpu": _find("/proc/cpuinfo", r"^model name\s*:\s*(.+)$") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "fsync_ms": _time_fsync(folder),
        "load_before": os.getloadavg()[0],
    }


def _find(path: str, pattern: str) -> str | None:
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        return None
    match = re.search(pattern, text, re.MULTILINE)
    return match.group(1).strip() if match else None


def _memory_gib() -> float | None:
    kib = _find("/proc/meminfo", r"^MemTotal:\s+(\d+) kB$")
    return round(int(kib) / 2**20, 1) if kib else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _time_fsync(folder: Path) -> float:
    """Return the milliseconds of appending 4 KiB with fsync, the unit of durable writes."""
    path, seconds = folder / "sync", []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began)
    path.unlink()
    return 1e3 * median(seconds)
