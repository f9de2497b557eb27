"""Opens what an outage left, and says whether it is what was acknowledged."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import vecstore
from tests.force_graph import MIN_ROWS, force_graph

from .contents import State, Wrong, as_records, check_bytes, check_searches, difference, made, observed
from .leftovers import garbage
from .outages import Outage
from .volume import Image, write_image

NAME = "kb"
_WHOLE = 3
"""Every so many states are also searched and written to."""


class Survivors:
    """Opens each distinct state of the disk once.

    Parameters
    ----------
    place : Path
        An empty directory, best one in memory.
    histories : sequence of sequence of State
        For each call the state before it and those that it leads through.
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

    def problem(self, outage: Outage, *, whole: bool = False) -> str | None:
        """Say what is wrong with what an outage left, None when nothing is; ``whole`` to search and write always."""
        if outage.digest not in self._seen:
            self._seen[outage.digest] = self._opened(outage.image, whole=whole or len(self._seen) % _WHOLE == 0)
        found = self._seen[outage.digest]
        if isinstance(found, str):
            return f"{outage}: {found}"
        if found in self._allowed(outage):
            return None
        return f"{outage}: {' / '.join(difference(each, found) for each in self._allowed(outage))}"

    def _allowed(self, outage: Outage) -> Sequence[State]:
        if outage.call < 0:
            return [{}]
        history = self.histories[outage.call]
        return history if outage.in_flight else history[-1:]

    def _opened(self, image: Image, *, whole: bool) -> State | str:
        root = self.place / str(len(self._seen))
        root.mkdir()
        try:
            write_image(root, image)
            found = _read(root / NAME, whole=whole)
            for state in self._known:
                # One object for equal states: there are thousands of outages and few states.
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
        found = observed(db)
        check_bytes(db)
        if whole:
            check_searches(db, found, random.Random(1))
            _check_writes(db, found, directory)
    return found


def _check_writes(db: vecstore.Database, before: State, directory: Path) -> None:
    """Prove that what is there can be changed, that nothing else changes with it, and that garbage goes."""
    new = made([1_000], 1)
    for name in before:
        db.open(name).upsert(as_records(new))
    db.create("new", vecstore.Schema(dim=1))
    db.drop("new")
    expected = {name: {**contents.records, **new} for name, contents in before.items()}
    if expected != {name: contents.records for name, contents in observed(db).items()}:
        raise Wrong("a write after the outage changed something else, or nothing")
    left = garbage(db, directory)
    if left:
        raise Wrong(f"{left} stay for good")
