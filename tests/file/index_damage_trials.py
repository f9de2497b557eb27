"""Damages the index file of a store in a random way, asks, and lets it be repaired, many times over.

A program of its own, so that it has no threads when it forks: ``python -m tests.file.index_damage_trials
DIRECTORY SEED COUNT`` prints one line of JSON for each trial.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.file.damage_trials import DAMAGES, choose_damage, run_in_child
from tests.file.samples import (
    INDEXED,
    SEARCHES,
    Model,
    connect_backend,
    find_inexact,
    make_busy_store,
    make_generation,
    make_model,
    make_rows,
    read_contents,
)
from tests.force_graph import force_graph
from vecstore.backend import Generation
from vecstore.backends.file.backend import FileBackend


@dataclass
class Pristine:
    """A store with an index over most of its rows, and index files that it had before."""

    place: Path
    active: Generation
    older: list[Path]
    model: Model

    @classmethod
    def make(cls, directory: Path) -> Pristine:
        place = directory / "pristine"
        store = make_busy_store(place, INDEXED, index_min_rows="32")
        other = store.backend.create("other", make_generation(INDEXED)).active
        store.backend.write(other, make_rows(range(150), 9), insert=False)
        older = []
        for step, numbers in enumerate((range(500, 560), range(560, 700), range(690, 720))):
            store.backend.tend(other)
            assert store.backend.tend(store.active) or step
            (index,) = list_indexes(place, store.active)
            older.append(Path(shutil.copy(index, directory / f"older-{step}")))
            store.upsert(numbers, 10 + step)
        store.delete([500, 600, 710])
        store.backend.amend(replace(store.active, ef=64))  # or tend() would ask for a calibration, damage or not
        store.backend.close()
        return cls(place, store.active, older[:-1], dict(store.model))


def list_indexes(place: Path, active: Generation) -> list[Path]:
    return sorted((place / "g" / active.id / "idx").glob("*.faiss"))


def damage_copy(pristine: Pristine, work: Path, draw: random.Random, trial: int) -> tuple[str, bool]:
    """Copy the store and damage its index, each way once; return how, and whether the file has other bytes then."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(pristine.place, work)
    (path,) = list_indexes(work, pristine.active)
    before, others = path.read_bytes(), [each for each in work.rglob("*.faiss") if each != path]
    damage = DAMAGES[trial] if trial < len(DAMAGES) else choose_damage(draw, older=True)
    damage(path, draw, others, pristine.older)
    return damage.__name__, not path.exists() or path.read_bytes() != before


def ask_all(pristine: Pristine, work: Path, *, harmed: bool, tends: bool) -> dict[str, Any]:
    """Ask, repair, ask again; return what was wrong, and what the store says of its index before."""
    active, model = pristine.active, dict(pristine.model)
    with closing(connect_backend(work, index_min_rows="32", lock_timeout="1")) as backend, force_graph():
        wrong = find_inexact(backend, active)
        is_by_graph = not any(one.exact for one in backend.search(active, SEARCHES[-1]))
        state = backend.index_state(active).state
        problems = backend.verify(active).problems
        named = [path.name for path in list_indexes(pristine.place, active)]
        if harmed != (state == "invalid") or is_by_graph == harmed:
            wrong.append(f"the index is {state}, searched along the graph: {is_by_graph}")
        if bool(problems) != harmed or not all(named[0] in problem for problem in problems):
            wrong.append(f"verify(): {problems}")
        batch = make_rows(range(900, 903), 20)
        backend.write(active, batch, insert=False)
        model |= make_model(batch)
        if not tends:
            backend.build_index(active)
        elif backend.tend(active) != harmed:
            wrong.append("it was not tended, or in vain")
        wrong += find_repair_problems(backend, work, active, model)
        with closing(connect_backend(work)) as fresh:
            wrong += find_repair_problems(fresh, work, active, model)
    return {"wrong": wrong, "state": state}


def find_repair_problems(backend: FileBackend, work: Path, active: Generation, model: Model) -> list[str]:
    wrong = find_inexact(backend, active)
    if read_contents(backend, active) != model:
        wrong.append("contents")
    if backend.index_state(active).state != "ready" or not backend.verify(active).ok:
        wrong.append(f"not repaired: {backend.index_state(active)}, {backend.verify(active).problems}")
    (index,) = list_indexes(work, active)
    if {path.name for path in index.parent.iterdir()} != {index.name, f"{index.stem}.rows"}:
        wrong.append("an index file too many")
    return wrong


def main(directory: Path, seed: int, count: int) -> None:
    pristine, work = Pristine.make(directory), directory / "work"
    for trial in range(-1, count):
        draw = random.Random(f"{seed} index {trial}")
        damage, harmed = damage_copy(pristine, work, draw, trial) if trial >= 0 else ("none", False)
        if trial < 0:
            shutil.copytree(pristine.place, work)
        tends = draw.random() < 0.5
        result = run_in_child(lambda harmed=harmed, tends=tends: ask_all(pristine, work, harmed=harmed, tends=tends))  # type: ignore[misc]
        print(json.dumps({"trial": trial, "damage": damage, "harmed": harmed, **result}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
