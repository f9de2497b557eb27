"""Makes each call to the operating system fail in each way, within each operation, and checks what is left.

It is a separate program because it must have no threads when it forks: ``python -m tests.file.failpoint_trials
DIRECTORY OPERATION,… SEED SHARE`` prints one line of JSON for each trial.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.file.damage_trials import run_in_child
from tests.file.failpoint_operations import BEFORE, OPERATIONS, make_busy, write
from tests.file.failpoints import FAILURES, Watch, watch_calls
from tests.file.samples import (
    Model,
    connect_backend,
    find_inexact,
    make_generation,
    make_rows,
    read_contents,
)
from tests.force_graph import force_graph
from vecstore.backend import Generation
from vecstore.backends.file.backend import FileBackend
from vecstore.errors import StorageFailed, VecstoreError

State = dict[str, tuple[Model, bool, str]]
"""For each store its contents, whether there is a standby, and what its index covers."""


def read_state(place: Path) -> State:
    backend = connect_backend(place, timeout="2")
    entries = [backend.find(name=name) for name in backend.names()]
    state = {
        entry.name: (
            read_contents(backend, entry.active),
            entry.standby is not None,
            describe_index(backend, entry.active),
        )
        for entry in entries
    }
    for entry in entries:
        problems = [*backend.verify(entry.active).problems, *find_inexact(backend, entry.active)]
        if problems:
            raise AssertionError(problems)
    backend.close()
    return state


def read_index(backend: FileBackend, where: Generation) -> dict[str, Any] | None:
    current = backend._generations.open(where)
    with current.pool.check_out() as connection:
        return current.read_snapshot(connection).ledger.index


def describe_index(backend: FileBackend, where: Generation) -> str:
    index = read_index(backend, where)
    # Whether it contains removed rows depends on whether it was extended or rebuilt.
    return f"rows up to {index['last']}" if index else ""


def attempt(place: Path, operation: str, watch: Watch) -> dict[str, Any]:
    """Run an operation with a failure in it; say how it ended, and whether the object can go on."""
    backend = connect_backend(place, index_min_rows="32")
    if operation != "first create":
        read_contents(backend, backend.find(name="docs").active)
    before = len(os.listdir("/proc/self/fd"))
    wrong: list[str] = []
    with watch_calls(watch):
        try:
            OPERATIONS[operation](backend)
            outcome = "done"
        except (VecstoreError, KeyboardInterrupt, MemoryError) as error:
            outcome = type(error).__name__
    if operation == "compact" or operation in BEFORE.keys() - {"first create"}:
        with backend._generations.open(backend.find(name="docs").active).lock_upkeep(wait=False):
            pass
    again = check_continues(backend, operation)
    backend.close()
    leaked = len(os.listdir("/proc/self/fd")) - before
    if leaked > watch.lost:
        wrong.append(f"{leaked} descriptors leaked")
    return {"wrong": wrong, "raised": {}, "outcome": outcome, "again": again}


def check_continues(backend: FileBackend, operation: str) -> str:
    try:
        if operation in {"drop", "first create", "create"}:
            backend.create("third", make_generation())
        else:
            write(range(700, 702), 40)(backend)
    except StorageFailed:
        return "refused"
    return "written"


def find_problems(place: Path, operation: str, result: dict[str, Any], states: list[State]) -> list[str]:
    """Say what is wrong with what a trial left behind."""
    wrong = list(result["wrong"])
    old, new = states
    found = read_state(place)
    if operation == "write and tend":
        # The index may be any that there was on the way.
        old, new, found = ({name: (*each[:2], "") for name, each in state.items()} for state in (old, new, found))
    again = found.pop("third", None) is not None
    if "docs" in found:
        model = {id_: kept for id_, kept in found["docs"][0].items() if id_ not in {"id-00700", "id-00701"}}
        again |= len(model) < len(found["docs"][0])
        found["docs"] = (model, *found["docs"][1:])
    outcome = result.get("outcome", "exit")
    if found != old and found != new:
        wrong.append("neither the old nor the new state")
    elif outcome == "done" and found != new:
        wrong.append("done, but not there")
    elif outcome in {"StorageFailed", "StoreCorrupt", "Timeout"} and found != old:
        wrong.append("an error, but it happened")
    if again != (result.get("again") == "written"):
        wrong.append(f"the next write: {result.get('again')}, found: {again}")
    write_again(place, wrong)
    return wrong


def write_again(place: Path, wrong: list[str]) -> None:
    """Write like a new process would; no unfinished file may be left afterwards."""
    backend = connect_backend(place, lock_timeout="1")
    backend.create("fourth", make_generation())
    for name in backend.names():
        backend.write(backend.find(name=name).active, make_rows(range(800, 801), 50), insert=False)
    known = {"catalog.db", "catalog.lock", "g"}
    wrong += [f"left behind: {path.name}" for path in place.iterdir() if path.name not in known]
    roles = [entry for name in backend.names() for entry in [backend.find(name=name)]]
    present = {role.id for entry in roles for role in (entry.active, entry.standby) if role}
    wrong += [f"left behind: {path.name}" for path in (place / "g").iterdir() if path.name not in present]
    for entry in roles:
        segments = int(backend.stats(entry.active).details["segments"])
        if len(list((place / "g" / entry.active.id / "seg").iterdir())) != segments:
            wrong.append("left behind: a segment")
        index = read_index(backend, entry.active)
        named = {f"{index['uid']}.{kind}" for kind in ("faiss", "rows")} if index else set()
        wrong += [
            f"left behind: {path.name}"
            for path in (place / "g" / entry.active.id / "idx").iterdir()
            if path.name not in named
        ]


def main(directory: Path, operation: str, seed: int, share: float) -> None:
    pristine, work = directory / "pristine", directory / "work"
    BEFORE.get(operation, make_busy)(pristine)
    states = [read_state(pristine)]
    shutil.copytree(pristine, work)
    watch = Watch()
    attempt(work, operation, watch)
    shutil.rmtree(work)
    shutil.copytree(pristine, work)
    OPERATIONS[operation](backend := connect_backend(work, index_min_rows="32"))
    backend.close()
    states.append(read_state(work))
    draw = random.Random(f"{seed} {operation}")
    for number, call in enumerate(watch.calls):
        for name, act in FAILURES.items():
            for after in (False, True):
                if draw.random() >= share:
                    continue
                shutil.rmtree(work)
                shutil.copytree(pristine, work)
                failing = Watch(number, act, after=after)
                result = run_in_child(lambda failing=failing: attempt(work, operation, failing))  # type: ignore[misc]
                if name == "exit" and result["wrong"] == [f"ended with status {77 << 8}"]:
                    result = {"wrong": []}
                judge = partial(find_problems, work, operation, result, states)
                wrong = run_in_child(lambda judge=judge: {"wrong": judge()})["wrong"]  # type: ignore[misc]
                line = {
                    "operation": operation,
                    "call": f"{number} {call}",
                    "failure": name,
                    "after": after,
                    **result,
                    "wrong": wrong,
                }
                print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    with force_graph():
        for each in sys.argv[2].split(","):
            with TemporaryDirectory(dir=sys.argv[1]) as place:
                main(Path(place), each, int(sys.argv[3]), float(sys.argv[4]))
