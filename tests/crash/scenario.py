"""The calls recorded for the power-failure tests: every kind once, on stores that are as small as possible.

``python -m tests.crash.scenario NAME DIRECTORY MARKS`` makes them, and records in the file MARKS when each begins and
ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import vecstore
from tests.force_graph import MIN_ROWS, force_graph

from .calls import (
    Call,
    Compact,
    Create,
    Delete,
    Drop,
    Insert,
    Read,
    Rebuild,
    Reindex,
    Rename,
    Rollback,
    Selection,
    Update,
    Upsert,
)
from .contents import State, Stored, Wrong, make_records

BEGUN, DONE = "begun", "done"


def life() -> list[Call]:
    """Return calls on a directory that does not exist."""
    return [
        Create("docs", "plain"),
        Upsert("docs", make_records(range(3), 1)),
        Upsert("docs", make_records(range(2, 72), 2)),
        Update("docs", Selection(("record-00001", "record-00010")), {"note": "changed", "group": 7}),
        Update("docs", Selection(group=7), {}, _make_one(3), "a new text"),
        Delete("docs", Selection(("record-00000", "record-00020", "record-00071"))),
        Insert("docs", make_records(range(100, 103), 4)),
        Create("side", "half"),
        Upsert("side", make_records(range(5), 5)),
        Compact("docs"),
        Upsert("docs", make_records(range(60, 200), 6), batch_size=70),
        Compact("docs"),
        Rename("side", "aside"),
        Rebuild("docs", "half"),
        Upsert("docs", make_records(range(1, 4), 7)),
        Rollback("docs"),
        Delete("docs", Selection(group=2)),
        Rebuild("docs", "tagged", keep_previous=False),
        Upsert("docs", make_records(range(4), 8)),
        Drop("aside"),
        Upsert("docs", make_records(range(3, 6), 9)),
        Create("walks", "plain graph"),
        Upsert("walks", make_records(range(90), 10)),
        Upsert("walks", make_records(range(80, 130), 11)),
        Delete("walks", Selection(group=1)),
        Reindex("walks", "plain graph"),
        Reindex("walks", "plain"),
    ]


CUT_OFF = 2
"""The call of `life`, a bulk upsert, in whose commit the power failed before `recovery` begins."""


def recovery() -> list[Call]:
    """Return calls on a directory with a journal to roll back and a segment that no commit names."""
    return [
        Read("docs", 2),
        Compact("docs"),
        Upsert("docs", make_records(range(2), 10)),
        Upsert("docs", make_records(range(70), 11)),
        Create("side", "plain"),
        Drop("side"),
    ]


def list_histories(name: str) -> list[list[State]]:
    """Return, for each call of a scenario, the state before it and those after each of its commits."""
    found: list[list[State]] = []
    state: State = {} if name == "life" else list_histories("life")[CUT_OFF][0]
    for call in SCENARIOS[name]():
        found.append([state, *call.effect(state).states])
        state = found[-1][-1]
    return found


def _make_one(stamp: int) -> Stored:
    return next(iter(make_records([0], stamp).values()))


SCENARIOS: Mapping[str, Callable[[], list[Call]]] = MappingProxyType({"life": life, "recovery": recovery})


def main() -> None:
    name, directory, marks = sys.argv[1:]
    mark = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with vecstore.connect(f"file:{directory}?{MIN_ROWS}") as db, force_graph():
        for number, (call, history) in enumerate(zip(SCENARIOS[name](), list_histories(name), strict=True)):
            expected = call.effect(history[0]).result
            os.write(mark, f"{BEGUN} {number}".encode())
            result = call.perform(db)
            os.write(mark, f"{DONE} {number}".encode())
            if result != expected:
                raise Wrong(f"{call} returned {result}, not {expected}")


if __name__ == "__main__":
    main()
