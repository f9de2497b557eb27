"""Lets each call to the operating system fail in each way, within each operation, and looks at what is left.

A program of its own, so that it has no threads when it forks: ``python -m tests.file.failpoint_trials
DIRECTORY OPERATION SEED SHARE`` prints one line of JSON for each trial.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.file.damage_trials import in_child
from tests.file.failpoints import FAILURES, Watch, watching
from tests.file.samples import Model, busy_store, contents, generation, opened, rows
from vecstore.backend import Change, Update
from vecstore.backends.file.backend import FileBackend
from vecstore.errors import StorageFailed, VecstoreError
from vecstore.filters import Compare

State = dict[str, tuple[Model, bool]]
"""For each store its contents, and whether there is a standby."""


def state_of(place: Path) -> State:
    backend = opened(place, timeout="2")
    entries = [backend.find(name=name) for name in backend.names()]
    state = {entry.name: (contents(backend, entry.active), entry.standby is not None) for entry in entries}
    for entry in entries:
        found = backend.verify(entry.active)
        if not found.ok:
            raise AssertionError(found.problems)
    backend.close()
    return state


def write(numbers: range, stamp: int) -> Callable[[FileBackend], None]:
    def operation(backend: FileBackend) -> None:
        backend.write(backend.find(name="docs").active, rows(numbers, stamp), insert=False)

    return operation


def update(backend: FileBackend) -> None:
    where = Compare("lang", "in", ("de", "en"))
    backend.update(backend.find(name="docs").active, where, Update({"year": 7}, {}))


def delete(backend: FileBackend) -> None:
    backend.delete(backend.find(name="docs").active, ["id-00004", "id-00302", "absent"], [9, 9, 9])


def create(backend: FileBackend) -> None:
    backend.create("second", generation())


def drop(backend: FileBackend) -> None:
    backend.drop(backend.find(name="docs").uid)


def drop_standby(backend: FileBackend) -> None:
    entry = backend.find(name="docs")
    assert entry.standby is not None
    backend.drop(entry.uid, entry.standby.id)


def switch(backend: FileBackend) -> None:
    entry = backend.find(name="docs")
    old, new = entry.active, entry.standby
    assert new is not None

    def drain(_changes: object) -> None:
        page = backend.page(old, None, None, 10_000)
        backend.write(new, page, insert=False, fence=page.versions)

    backend.switch(entry.uid, new.id, drain)


def settle(backend: FileBackend) -> None:
    active = backend.find(name="docs").active
    noted = backend.changes(active, (), 2)
    assert all(isinstance(change, Change) for change in noted)
    backend.changes(active, noted, 2)


def read(backend: FileBackend) -> None:
    with closing(opened(backend._layout.root)) as fresh:
        contents(fresh, fresh.find(name="docs").active)


OPERATIONS: dict[str, Callable[[FileBackend], None]] = {
    "small write": write(range(3), 30),
    "bulk write": write(range(150, 250), 31),
    "update": update,
    "delete": delete,
    "create": create,
    "drop": drop,
    "drop of a standby": drop_standby,
    "switch": switch,
    "settle": settle,
    "read": read,
    "first create": create,
}


def attempt(place: Path, operation: str, watch: Watch) -> dict[str, Any]:
    """Run an operation with a failure in it; say how it ended, and whether the object can go on."""
    backend = opened(place)
    if operation != "first create":
        contents(backend, backend.find(name="docs").active)
    before = len(os.listdir("/proc/self/fd"))
    wrong: list[str] = []
    with watching(watch):
        try:
            OPERATIONS[operation](backend)
            outcome = "done"
        except (VecstoreError, KeyboardInterrupt, MemoryError) as error:
            outcome = type(error).__name__
    again = goes_on(backend, operation)
    backend.close()
    leaked = len(os.listdir("/proc/self/fd")) - before
    if leaked > watch.lost:
        wrong.append(f"{leaked} descriptors leaked")
    return {"wrong": wrong, "raised": {}, "outcome": outcome, "again": again}


def goes_on(backend: FileBackend, operation: str) -> str:
    try:
        if operation in {"drop", "first create", "create"}:
            backend.create("third", generation())
        else:
            write(range(700, 702), 40)(backend)
    except StorageFailed:
        return "refused"
    return "written"


def judged(place: Path, result: dict[str, Any], states: list[State]) -> list[str]:
    """Say what is wrong with what a trial left behind."""
    wrong = list(result["wrong"])
    old, new = states
    found = state_of(place)
    again = found.pop("third", None) is not None
    if "docs" in found:
        model = {id_: kept for id_, kept in found["docs"][0].items() if id_ not in {"id-00700", "id-00701"}}
        again |= len(model) < len(found["docs"][0])
        found["docs"] = (model, found["docs"][1])
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
    """Write in a new process's way; then nothing unfinished may lie around."""
    backend = opened(place, lock_timeout="1")
    backend.create("fourth", generation())
    for name in backend.names():
        backend.write(backend.find(name=name).active, rows(range(800, 801), 50), insert=False)
    known = {"catalog.db", "catalog.lock", "g"}
    wrong += [f"left behind: {path.name}" for path in place.iterdir() if path.name not in known]
    roles = [entry for name in backend.names() for entry in [backend.find(name=name)]]
    present = {role.id for entry in roles for role in (entry.active, entry.standby) if role}
    wrong += [f"left behind: {path.name}" for path in (place / "g").iterdir() if path.name not in present]
    for entry in roles:
        segments = int(backend.stats(entry.active).details["segments"])
        if len(list((place / "g" / entry.active.id / "seg").iterdir())) != segments:
            wrong.append("left behind: a segment")


def main(directory: Path, operation: str, seed: int, share: float) -> None:
    pristine, work = directory / "pristine", directory / "work"
    if operation == "first create":
        pristine.mkdir()
    else:
        busy_store(pristine).backend.close()
    states = [state_of(pristine)]
    shutil.copytree(pristine, work)
    watch = Watch()
    attempt(work, operation, watch)
    shutil.rmtree(work)
    shutil.copytree(pristine, work)
    OPERATIONS[operation](backend := opened(work))
    backend.close()
    states.append(state_of(work))
    draw = random.Random(f"{seed} {operation}")
    for number, call in enumerate(watch.calls):
        for name, act in FAILURES.items():
            for after in (False, True):
                if draw.random() >= share:
                    continue
                shutil.rmtree(work)
                shutil.copytree(pristine, work)
                failing = Watch(number, act, after=after)
                result = in_child(lambda failing=failing: attempt(work, operation, failing))  # type: ignore[misc]
                if name == "exit" and result["wrong"] == [f"ended with status {77 << 8}"]:
                    result = {"wrong": []}
                wrong = in_child(lambda result=result: {"wrong": judged(work, result, states)})["wrong"]  # type: ignore[misc]
                line = {"call": f"{number} {call}", "failure": name, "after": after, **result, "wrong": wrong}
                print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
