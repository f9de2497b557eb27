"""How long importing a package takes: each time in a process of its own, the packages in turns."""

from __future__ import annotations

import subprocess
import sys

_TIMES = 15
_PROGRAM = """
import importlib, sys, time
began = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - began)
"""


def time_imports(*packages: str) -> dict[str, float]:
    """Return the least milliseconds of several imports of each package, by its name."""
    seconds: dict[str, list[float]] = {package: [] for package in packages}
    for _ in range(_TIMES):
        for package, taken in seconds.items():
            done = subprocess.run([sys.executable, "-c", _PROGRAM, package], capture_output=True, text=True, check=True)
            taken.append(float(done.stdout))
    return {f"{package}_ms": 1e3 * min(taken) for package, taken in seconds.items()}
