"""Kills many writers one after the other on one directory, which must keep every acknowledged write.

``python -m tests.crash.campaign DIRECTORY SEED TRIALS`` runs one; its last line of output is the tally.
It is a separate process because a test runner has threads, and a fork of a process with threads may hang.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import vecstore
from tests.force_graph import MIN_ROWS, force_graph
from vecstore.backends.file.vectors import compaction
from vecstore.backends.file.vectors.compaction_policy import CompactionPolicy

from .calls import Call, Effect
from .contents import (
    SCHEMAS,
    State,
    Wrong,
    as_records,
    check_bytes,
    check_searches,
    describe_difference,
    make_records,
    read_state,
)
from .leftovers import is_begun, list_garbage, list_unnamed
from .random_calls import draw_call
from .tally import Tally
from .writer import MESSAGE, Note, fork_writer

POLICY = CompactionPolicy(max_segments=4, max_memtable_rows=60, max_dead_share=0.3, min_dead=60, max_removals=150)
"""The stores are small, so they are compacted at smaller sizes."""
_MOST = 3
"""A campaign has at most this many times the requested number of trials."""
_LONGEST = 0.03
_PATIENCE = 10
_UPKEEP = {Note.COMPACTING, Note.INDEXING, Note.NAMING}
"""These messages begin a stage of upkeep."""
_CHECKED = 10
"""All stores are verified once in this many trials."""


@dataclass(frozen=True)
class Aim:
    """When to kill: some time after the start, or at a fraction of the usual duration of a call or of upkeep.

    Attributes
    ----------
    patience : float
        How many seconds to wait for the aim at most.
    share : float
    call : int or None
    upkeep : Note or None
        The message with which the upkeep begins.
    """

    patience: float
    share: float = 0.0
    call: int | None = None
    upkeep: Note | None = None

    @classmethod
    def drawn(cls, draw: random.Random) -> Aim:
        kind = draw.random()
        if kind < 0.1:
            return cls(draw.random() * _LONGEST)
        for limit, stage in ((0.45, Note.COMPACTING), (0.55, Note.INDEXING), (0.65, Note.NAMING)):
            if kind < limit:
                return cls(_PATIENCE, draw.random(), upkeep=stage)
        # Prefer late moments: a call commits at its end.
        return cls(10, max(draw.random(), draw.random()), draw.randrange(3))

    def is_met(self, note: Note, value: int) -> bool:
        """Return whether a message begins what the aim names."""
        if self.upkeep:
            return note is self.upkeep
        return self.call is not None and note is Note.BEGUN and value >= self.call


class Durations:
    """How long calls of each kind take, learned from finished and from interrupted calls."""

    def __init__(self) -> None:
        self._known: defaultdict[str, float] = defaultdict(lambda: 0.003)

    def select(self, kind: str) -> float:
        return self._known[kind]

    def ended(self, kind: str, seconds: float) -> None:
        self._known[kind] += 0.3 * (seconds - self._known[kind])

    def lasted(self, kind: str, seconds: float) -> None:
        self._known[kind] = max(self._known[kind], min(seconds * 1.3, 0.25))


class Trial:
    """One writer, from fork to kill, and the same calls made on the model."""

    def __init__(self, url: str, state: State, seed: str, durations: Durations, tally: Tally) -> None:
        self.state = state
        self.cut_off: tuple[Call, Effect] | None = None
        self.last = "start"
        self.upkeep: Note | None = None
        self._draw = random.Random(seed)
        self._durations = durations
        self._tally = tally
        self._begun = self._upkeep_begun = 0.0
        self._buffer = b""
        self._pid, self._ear = fork_writer(url, state, seed)

    def run(self, aim: Aim) -> None:
        """Read messages until the aim is met, kill the writer, and read the remaining messages."""
        try:
            deadline, is_met = time.monotonic() + aim.patience, False
            while (left := deadline - time.monotonic()) > 0 and select.select([self._ear], [], [], left)[0]:
                for note, value in self._listen():
                    self._follow(note, value)
                    if not is_met and aim.is_met(note, value):
                        is_met = True
                        kind = aim.upkeep.name if aim.upkeep else self.last
                        deadline = time.monotonic() + 1.1 * aim.share * self._durations.select(kind)
        finally:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            heard = self._listen(to_the_end=True)
            os.close(self._ear)
        for note, value in heard:
            self._follow(note, value)
        if self.cut_off:
            self._durations.lasted(self.last, time.monotonic() - self._begun)

    def _listen(self, *, to_the_end: bool = False) -> list[tuple[Note, int]]:
        while data := os.read(self._ear, 1 << 16):
            self._buffer += data
            if not to_the_end:
                break
        notes = []
        while len(self._buffer) >= MESSAGE.size:
            note, value = MESSAGE.unpack_from(self._buffer)
            if note == Note.FAILED:
                raise Wrong(f"the writer failed in {self.last}:\n{self._buffer[MESSAGE.size :].decode()}")
            self._buffer = self._buffer[MESSAGE.size :]
            notes.append((Note(note), value))
        if not to_the_end and not data:
            raise Wrong(f"the writer ended by itself in {self.last}")
        return notes

    def _follow(self, note: Note, value: int) -> None:
        now = time.monotonic()
        if self.upkeep:
            self._durations.ended(self.upkeep.name, now - self._upkeep_begun)
        self.upkeep = note if note in _UPKEEP else None
        if self.upkeep:
            self._upkeep_begun = now
        elif note in {Note.COMPACTED, Note.INDEXED}:
            return
        elif note is Note.BEGUN:
            call = draw_call(self._draw, self.state)
            self.cut_off = call, call.effect(self.state)
            self.last, self._begun = call.kind, now
        elif self.cut_off:
            self.state = self.cut_off[1].states[-1]
            self.cut_off = None
            self._durations.ended(self.last, now - self._begun)
            self._tally.acknowledged[self.last] += 1


def run(directory: str, seed: int, trials: int) -> Tally:
    """Kill this many writers, and more until the goals of the tally are reached.

    Raises
    ------
    Wrong
        With the number of the trial.
    """
    compaction.POLICY = POLICY
    tally, durations, began = Tally(), Durations(), time.monotonic()
    state: State = {}
    for number in range(_MOST * trials):
        if number >= trials and not tally.list_shortfalls(trials):
            break
        draw = random.Random(f"{seed}/{number}")
        # No waiting: a lock that a killed writer left behind must fail the next one at once.
        url = f"file:{directory}?lock_timeout=0&{MIN_ROWS}"
        trial = Trial(url, state, f"{seed}/{number}/calls", durations, tally)
        try:
            trial.run(Aim.drawn(draw))
            state = _check(directory, trial, tally, draw, whole=number % _CHECKED == 0 or number >= trials - 1)
        except (Wrong, vecstore.VecstoreError) as error:
            cut = trial.cut_off and trial.cut_off[0]
            raise Wrong(f"seed {seed}, trial {number}, in {trial.last}, cut off: {cut}") from error
        tally.trials += 1
        tally.seconds = time.monotonic() - began
    _check_leftovers(directory, state)
    return tally


def _check_leftovers(directory: str, state: State) -> None:
    """Check that the next calls remove what killed writers left behind."""
    with vecstore.connect(f"file:{directory}") as db:
        for name in state:
            db.open(name).upsert(as_records(make_records([0], 1)))
        db.create("last", SCHEMAS["plain"])
        db.drop("last")
        left = list_garbage(db, Path(directory))
    if left:
        raise Wrong(f"killed writers left {left}")


def _check(directory: str, trial: Trial, tally: Tally, draw: random.Random, *, whole: bool) -> State:
    """Return the stored state after checking that it is one of the allowed ones."""
    tally.journals += any(is_begun(path.read_bytes()) for path in Path(directory).rglob("*-journal"))
    tally.unfinished += any(Path(directory).rglob("*.vec.tmp"))
    tally.unfinished_indexes += any(Path(directory).rglob("*.faiss.tmp"))
    mode = draw.choice(["rw", "rw", "ro"])
    with vecstore.connect(f"file:{directory}?mode={mode}") as db:
        found = read_state(db)
        suffixes = {path.suffix for path in list_unnamed(db)}
        tally.unnamed += ".vec" in suffixes
        tally.unnamed_indexes += ".faiss" in suffixes
        if whole:
            tally.walks += check_searches(db, found, draw)
            check_bytes(db)
    if trial.cut_off is None:
        tally.between[trial.last] += 1
        if found != trial.state:
            raise Wrong(f"acknowledged, but: {describe_difference(trial.state, found)}")
        return found
    tally.inside[trial.last] += 1
    tally.compacting += trial.upkeep is Note.COMPACTING
    tally.indexing += trial.upkeep in {Note.INDEXING, Note.NAMING}
    return _match(found, trial.state, trial.cut_off[1], tally)


def _match(found: State, before: State, effect: Effect, tally: Tally) -> State:
    if all(each == before for each in effect.states):
        tally.unseen += found == before
    elif found == before:
        tally.nothing += 1
    elif found == effect.states[-1]:
        tally.whole += 1
    else:
        tally.part += 1
    if found != before and found not in effect.states:
        raise Wrong(
            f"neither before ({describe_difference(before, found)}) nor after "
            f"({describe_difference(effect.states[-1], found)}) the call that was cut off"
        )
    return found


def main() -> None:
    directory, seed, trials = sys.argv[1:]
    with force_graph():
        tally = run(directory, int(seed), int(trials))
    sys.stdout.write(json.dumps({**vars(tally), "shortfalls": tally.list_shortfalls(int(trials))}) + "\n")


if __name__ == "__main__":
    main()
