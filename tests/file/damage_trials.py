"""Damages one file of a store at random, then reads and writes everything in a forked child, many times.

It is a separate program because it must have no threads when it forks: ``python -m tests.file.damage_trials DIRECTORY
FILE SEED COUNT`` prints one line of JSON for each trial. FILE is a key of `KINDS`.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.file.samples import (
    Model,
    Store,
    connect_backend,
    list_reads,
    make_busy_store,
    make_generation,
    make_model,
    make_rows,
    read_contents,
)
from vecstore.backend import Generation
from vecstore.backends.file.backend import FileBackend
from vecstore.errors import UnknownOutcome, VecstoreError

KINDS: Mapping[str, str] = {
    "catalogue": "catalog.db",
    "catalogue lock": "catalog.lock",
    "rows": "g/ID/rows.db",
    "writer lock": "g/ID/writer.lock",
    "segment": "g/ID/seg/*.vec",
}
"""A glob for the file; ID is the generation."""
PATIENCE = 120
MEMORY = 1 << 30


@dataclass
class Pristine:
    """An undamaged store, older states of it, and the results of all its reads."""

    place: Path
    active: Generation
    older: list[Path]
    expected: dict[str, Any]
    model: Model

    @classmethod
    def make(cls, directory: Path) -> Pristine:
        place = directory / "pristine"
        older: list[Path] = []

        def keep() -> None:
            older.append(directory / f"older-{len(older)}")
            shutil.copytree(place, older[-1])

        store: Store = make_busy_store(place)
        keep()
        store.upsert([5, 6, 500], 6)
        keep()
        # From here on there is a sparse segment.
        store.backend.compact(store.active)
        store.backend.create("other", make_generation())
        keep()
        store.upsert(range(20, 95), 7)
        store.delete([21])
        keep()
        entry = store.backend.find(name="other")
        store.backend.rename(entry.uid, "another")
        store.upsert([501], 8)
        expected = {name: ask() for name, ask in list_reads(store.backend, store.active).items()}
        store.backend.close()
        return cls(place, store.active, older, expected, dict(store.model))


def flip(path: Path, draw: random.Random, _others: list[Path], _older: list[Path]) -> None:
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= draw.randrange(1, 256)
    path.write_bytes(data)


def zero(path: Path, draw: random.Random, _others: list[Path], _older: list[Path]) -> None:
    data = bytearray(path.read_bytes())
    start = draw.randrange(0, len(data), 512)
    data[start : start + 512] = bytes(len(data[start : start + 512]))
    path.write_bytes(data)


def truncate(path: Path, draw: random.Random, _others: list[Path], _older: list[Path]) -> None:
    os.truncate(path, draw.randrange(path.stat().st_size))


def extend(path: Path, draw: random.Random, _others: list[Path], _older: list[Path]) -> None:
    with path.open("ab") as file:
        file.write(draw.randbytes(draw.randrange(1, 10_000)))


def swap(path: Path, draw: random.Random, others: list[Path], _older: list[Path]) -> None:
    other = draw.choice(others)
    spare = path.with_name("spare")
    path.rename(spare)
    other.rename(path)
    spare.rename(other)


def put_older(path: Path, draw: random.Random, _others: list[Path], older: list[Path]) -> None:
    path.write_bytes(draw.choice(older).read_bytes())


def delete(path: Path, _draw: random.Random, _others: list[Path], _older: list[Path]) -> None:
    path.unlink()


def replace_by_garbage(path: Path, draw: random.Random, _others: list[Path], _older: list[Path]) -> None:
    path.write_bytes(draw.randbytes(path.stat().st_size))


Damage = Callable[[Path, random.Random, list[Path], list[Path]], None]
DAMAGES: list[Damage] = [flip, zero, truncate, extend, swap, put_older, delete, replace_by_garbage]


def choose_damage(draw: random.Random, *, older: bool) -> Damage:
    """Choose a damage; half of them are flips, which find the most faults."""
    return flip if draw.random() < 0.5 else draw.choice([each for each in DAMAGES if older or each is not put_older])


def damage_copy(pristine: Pristine, work: Path, pattern: str, draw: random.Random) -> str:
    """Copy the store and damage one file; return the kind of damage."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(pristine.place, work)
    path = draw.choice(sorted(work.glob(pattern)))
    others = [each for each in sorted(work.rglob("*")) if each.is_file() and each != path]
    older = [each for place in pristine.older for each in sorted(place.glob(pattern))]
    damage = choose_damage(draw, older=bool(older))
    damage(path, draw, others, older)
    return damage.__name__


def ask_all(pristine: Pristine, work: Path) -> dict[str, Any]:
    """Make every read, then write; return wrong results, and how often each error was raised."""
    wrong: list[str] = []
    raised: Counter[str] = Counter()

    def attempt(name: str, ask: Callable[[], Any], check: Callable[[Any], bool]) -> bool:
        try:
            got = ask()
        except VecstoreError as error:
            raised[type(error).__name__] += 1
            return False
        if not check(got):
            wrong.append(name)
        return True

    backends: list[FileBackend] = []
    if not attempt(
        "open", lambda: backends.append(connect_backend(work, timeout="2", lock_timeout="1")), lambda _: True
    ):
        return {"wrong": wrong, "raised": raised}
    backend = backends[0]
    for name, ask in list_reads(backend, pristine.active).items():
        attempt(name, ask, lambda got, name=name: bool(got == pristine.expected[name]))  # type: ignore[misc]
    reading_failed = bool(raised)
    attempt("verify", lambda: backend.verify(pristine.active), lambda found: not (found.ok and reading_failed))
    write_all(backend, pristine, work, attempt, wrong)
    return {"wrong": wrong, "raised": raised}


def write_all(
    backend: FileBackend,
    pristine: Pristine,
    work: Path,
    attempt: Callable[[str, Callable[[], Any], Callable[[Any], bool]], bool],
    wrong: list[str],
) -> None:
    model, active = dict(pristine.model), pristine.active
    for stamp, numbers in ((20, [1, 600]), (21, range(30, 110))):
        batch = make_rows(numbers, stamp)
        versions = [kept.version if (kept := model.get(id_)) else 0 for id_ in batch.ids]
        if attempt("write", lambda batch=batch: backend.write(active, batch, insert=False), lambda n: n == len(batch)):  # type: ignore[misc]  # noqa: B023
            model |= make_model(batch, versions)
    if attempt("delete", lambda: backend.delete(active, ["id-00007", "id-00008"]), lambda n: n == 2):
        del model["id-00007"], model["id-00008"]
    try:
        fresh = connect_backend(work)
        if read_contents(fresh, active) != model:
            wrong.append("contents after writes")
    except UnknownOutcome:
        wrong.append("an unknown outcome of reading")
    except VecstoreError:
        pass


def run_in_child(job: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run a job in a forked child with limits of time and memory; death by a signal counts as a result."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        signal.alarm(PATIENCE)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            result = job()
        except BaseException as error:  # noqa: BLE001 - every escape is a finding
            result = {"wrong": [f"{type(error).__name__} escaped: {error}"[:300]], "raised": {}}
        os.write(writing, json.dumps(result).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if status or not data:
        return {"wrong": [f"ended with status {status}"], "raised": {}}
    answer: dict[str, Any] = json.loads(data)
    return answer


def main(directory: Path, kind: str, seed: int, count: int) -> None:
    pristine = Pristine.make(directory)
    unharmed = run_in_child(lambda: ask_all(pristine, Path(shutil.copytree(pristine.place, directory / "copy"))))
    print(json.dumps({"trial": -1, "damage": "none", **unharmed}), flush=True)  # noqa: T201
    for trial in range(count):
        draw = random.Random(f"{seed} {kind} {trial}")
        damage = damage_copy(pristine, directory / "work", KINDS[kind].replace("ID", pristine.active.id), draw)
        result = run_in_child(lambda: ask_all(pristine, directory / "work"))
        print(json.dumps({"trial": trial, "damage": damage, **result}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
