"""The memory of this process."""

from __future__ import annotations

import re
from pathlib import Path


def read_peak_mib() -> float | None:
    """Return the peak resident memory of the process (``VmHWM``), or None if the system does not report it.

    ``getrusage`` is no help: its peak is inherited from the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except FileNotFoundError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found.group(1)) / 1024 if found else None
