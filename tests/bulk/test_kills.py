"""Two loads at once whose workers are killed at any moment: each has what a plain loop has."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.sources import ROOT
from vecstore.testing import Place

from .test_loads import load_plainly, make_tables, read_digest

TABLES = 16
LOADING = f"""
import sys
from tests.bulk.test_loads import SCHEMA, make_tables
from vecstore import bulk

if __name__ == "__main__":
    print(bulk.load(*sys.argv[1:], make_tables({TABLES}), SCHEMA, workers=2).records)
"""
MOST_KILLS = 4
"""Of the workers of one load: one more while the same table is under way would end it."""


def list_workers(pid: int) -> list[int]:
    """Return the processes in which a program works, and not the one that tidies up behind them."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(each) for each in children if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]
    except (FileNotFoundError, ProcessLookupError):  # one of them has ended meanwhile
        return []


@pytest.mark.long
def test_two_loads_at_once(place: Place, tmp_path: Path, seed: int, note: Callable[[str], None]) -> None:
    rng, kills = random.Random(seed), {"one": 0, "two": 0}
    (program := tmp_path / "program.py").write_text(LOADING)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    children = {
        name: subprocess.Popen([sys.executable, str(program), place.url, name], stdout=subprocess.PIPE, env=environment)
        for name in kills
    }
    while any(child.poll() is None for child in children.values()):
        time.sleep(rng.uniform(0, 0.5))  # chooses moments, waits for nothing
        name = rng.choice(list(kills))
        workers = list_workers(children[name].pid)
        if workers and kills[name] < MOST_KILLS:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
                kills[name] += 1
    assert [child.communicate()[0].split() for child in children.values()] == [[b"800"], [b"800"]]
    plain = load_plainly(place, make_tables(TABLES))
    assert read_digest(place, "one") == read_digest(place, "two") == plain
    note(f"two loads at once: {sum(kills.values())} workers killed")
