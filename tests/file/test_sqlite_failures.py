"""Calls of SQLite to the operating system that fail, and what is left then."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.file.samples import connect_backend, make_busy_store, make_model, make_rows, read_contents

WRITE = """
import sys
from pathlib import Path
from tests.file.samples import connect_backend, make_rows
from vecstore.errors import VecstoreError
backend = connect_backend(Path(sys.argv[1]))
active = backend.find(name="docs").active
for stamp in (51, 52):
    try:
        backend.write(active, make_rows(range(500, 503), stamp), insert=False)
        print("acknowledged", flush=True)
    except VecstoreError as error:
        print(type(error).__name__, flush=True)
"""


def can_trace() -> bool:
    command = ["strace", "-f", "-o", "/dev/null", "true"]
    return shutil.which("strace") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_trace(), reason="needs strace, which is missing or not allowed here")
@pytest.mark.parametrize("call", ["fsync", "fdatasync", "pwrite64", "unlink"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 6])
def test_sqlite_calls_that_fail(memory_path: Path, call: str, number: int) -> None:
    store = make_busy_store(memory_path)
    store.backend.close()
    fault = f"inject={call}:error=EIO:when={number}"
    command = ["strace", "-f", "-o", "/dev/null", "-e", fault, sys.executable, "-c", WRITE, str(memory_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split()
    model = dict(store.model)
    if first == "acknowledged":
        model |= make_model(make_rows(range(500, 503), 51))
    if second == "acknowledged":
        assert first in {"acknowledged", "Timeout", "StoreCorrupt"}
        model |= make_model(make_rows(range(500, 503), 52))
    found = read_contents(connect_backend(memory_path), store.active)
    assert found == model or "UnknownOutcome" in {first, second}
    assert connect_backend(memory_path).verify(store.active).ok
