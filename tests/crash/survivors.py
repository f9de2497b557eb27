"""Opens the disk after an outage, and checks that it holds what was acknowledged."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import vecstore
from tests.force_graph import MIN_ROWS, force_graph

from .contents import (
    State,
    Wrong,
    as_records,
    check_bytes,
    check_searches,
    describe_difference,
    make_records,
    read_state,
)
from .leftovers import list_garbage
from .outages import Outage
from .volume import Image, write_image

NAME = "kb"
_WHOLE = 3
"""One in this many states is also searched and written to."""


class Survivors:
    """Opens each distinct state of the disk once.

    Parameters
    ----------
    place : Path
        An empty directory, preferably in memory.
    histories : sequence of sequence of State
        For each call, the state before it and those after each of its commits.
    """

    def __init__(self, place: Path, histories: Sequence[Sequence[State]]) -> None:
        self.place = place
        self.histories = histories
        self._seen: dict[bytes, State | str] = {}
        self._known: list[State] = []

    @property
    def distinct(self) -> int:
        """How many different states of the disk were opened."""
        return len(self._seen)

    def find_problem(self, outage: Outage, *, whole: bool = False) -> str | None:
        """Return what is wrong after an outage, or None; ``whole`` means to search and write in any case."""
        if outage.digest not in self._seen:
            self._seen[outage.digest] = self._open(outage.image, whole=whole or len(self._seen) % _WHOLE == 0)
        found = self._seen[outage.digest]
        if isinstance(found, str):
            return f"{outage}: {found}"
        if found in self._list_allowed(outage):
            return None
        return f"{outage}: {' / '.join(describe_difference(each, found) for each in self._list_allowed(outage))}"

    def _list_allowed(self, outage: Outage) -> Sequence[State]:
        if outage.call < 0:
            return [{}]
        history = self.histories[outage.call]
        return history if outage.in_flight else history[-1:]

    def _open(self, image: Image, *, whole: bool) -> State | str:
        root = self.place / str(len(self._seen))
        root.mkdir()
        try:
            write_image(root, image)
            found = _read(root / NAME, whole=whole)
            for state in self._known:
                # Share equal states: there are thousands of outages and few states.
                if state == found:
                    return state
            self._known.append(found)
            return found
        except Exception as error:  # noqa: BLE001 - whatever it is, the report must say where it came from
            return f"{type(error).__name__}: {error}"
        finally:
            shutil.rmtree(root)


def _read(directory: Path, *, whole: bool) -> State:
    with vecstore.connect(f"file:{directory}?lock_timeout=0&{MIN_ROWS}") as db, force_graph():
        found = read_state(db)
        check_bytes(db)
        if whole:
            check_searches(db, found, random.Random(1))
            _check_writes(db, found, directory)
    return found


def _check_writes(db: vecstore.Database, before: State, directory: Path) -> None:
    """Check that writes work and change nothing else, and that garbage is removed."""
    new = make_records([1_000], 1)
    for name in before:
        db.open(name).upsert(as_records(new))
    db.create("new", vecstore.Schema(dim=1))
    db.drop("new")
    expected = {name: {**contents.records, **new} for name, contents in before.items()}
    if expected != {name: contents.records for name, contents in read_state(db).items()}:
        raise Wrong("a write after the outage changed something else, or nothing")
    left = list_garbage(db, directory)
    if left:
        raise Wrong(f"{left} are never removed")
