"""Several processes: writers take turns, readers see whole commits, and the dead hold nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.file.concurrent_member import list_numbers, make_stamped_rows
from tests.file.samples import INDEXED, Store, connect_backend, make_rows, read_contents
from tests.lateness import Lateness
from vecstore.errors import StoreLocked


class Member:
    """A process that works on a store until it is told to stop.

    Parameters
    ----------
    place : Path
    role : str
        See `tests.file.concurrent_member`.
    number : int
        Which of the writers it is.
    stamp : int
        What a writer wrote last.
    counts : str
        The only word that counts as a step; without one all do but "locked".
    """

    def __init__(self, place: Path, role: str, number: int = 0, *, stamp: int = 0, counts: str = "") -> None:
        self.counts = counts
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.file.concurrent_member", str(place), role, str(number), str(stamp)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        self.said: list[str] = []

    def wait_for(self, steps: int) -> None:
        """Return when it has said so many words that count."""
        assert self.process.stdout is not None
        while len(self.words()) < steps:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()
            self.said += line.split()

    def words(self) -> list[str]:
        return [word for word in self.said if (word == self.counts if self.counts else word != "locked")]

    def stop(self) -> list[str]:
        """End it in order; return all words that count."""
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        with self.process:
            self.process.stdin.close()
            self._listen_to_the_end()
            errors = self.process.stderr.read()
        assert errors == ""
        assert self.process.returncode == 0
        return self.words()

    def kill(self) -> list[str]:
        with self.process:
            self.process.send_signal(signal.SIGKILL)
            self._listen_to_the_end()
        return self.words()

    def _listen_to_the_end(self) -> None:
        """Take in the rest. `communicate` would skip the lines that `readline` has read ahead."""
        assert self.process.stdout is not None
        self.said += self.process.stdout.read().split()


def work_together(members: dict[Member, int]) -> None:
    """Let members work at once until each has made so many steps, and stop them; the slowest one decides how long."""
    for member, steps in members.items():
        member.wait_for(steps)
    for member in members:
        member.stop()


def check_batches(store: Store, acknowledged: dict[int, int]) -> None:
    """Each writer's batch is the last acknowledged one, or, after a kill, the one after it."""
    found = read_contents(connect_backend(store.place), store.active)
    for writer, stamp in acknowledged.items():
        ids = [f"id-{number:05}" for number in list_numbers(writer)]
        stamps = {found[id_].fields["year"] for id_ in ids if id_ in found}
        assert stamps in ({stamp}, {stamp + 1}) or (stamp == 0 and not stamps)
        assert not stamps or all(id_ in found for id_ in ids)
    assert connect_backend(store.place).verify(store.active).ok


def test_writers_take_turns_and_readers_see_whole_commits(memory_path: Path) -> None:
    store = Store.create(memory_path)
    writers = [Member(memory_path, "write", number) for number in range(3)]
    readers = [Member(memory_path, "read") for _ in range(2)]
    work_together({**dict.fromkeys(writers, 15), **dict.fromkeys(readers, 5)})
    assert not any("locked" in writer.said for writer in writers)
    acknowledged = {number: int(writer.said[-1]) for number, writer in enumerate(writers)}
    check_batches(store, acknowledged)
    assert {
        read_contents(store.backend, store.active)[f"id-{1000 * number:05}"].fields["year"] for number in range(3)
    } == set(acknowledged.values())


def test_readers_see_whole_commits_during_compactions(memory_path: Path) -> None:
    store = Store.create(memory_path)
    writers = [Member(memory_path, "write", number) for number in range(2)]
    readers = [Member(memory_path, "read") for _ in range(2)]
    compactor = Member(memory_path, "compact")
    work_together({**dict.fromkeys(writers, 15), **dict.fromkeys(readers, 5), compactor: 5})
    check_batches(store, {number: int(writer.words()[-1]) for number, writer in enumerate(writers)})


def test_readers_see_whole_commits_while_indexes_come_and_go(memory_path: Path) -> None:
    store = Store.create(memory_path, INDEXED, index_min_rows="32")
    for number in (5, 7, 9):
        store.backend.write(store.active, make_stamped_rows(number, 1), insert=False)
    writers = [Member(memory_path, "write", number) for number in range(2)]
    readers = [Member(memory_path, "read", counts="searched") for _ in range(2)]
    indexer, compactor = Member(memory_path, "index"), Member(memory_path, "compact")
    work_together({**dict.fromkeys(writers, 15), **dict.fromkeys(readers, 3), indexer: 5, compactor: 5})
    check_batches(store, {number: int(writer.words()[-1]) for number, writer in enumerate(writers)})


def test_writers_that_are_killed_leave_whole_commits_to_readers(memory_path: Path, seed: int) -> None:
    """The long campaign of kills is elsewhere; here other processes read and write on."""
    store = Store.create(memory_path)
    draw = random.Random(seed)
    reader, survivor = Member(memory_path, "read"), Member(memory_path, "write", 3)
    stamps = {0: 0, 1: 0, 2: 0}
    for turn in range(6):
        number = draw.randrange(3)
        victim = Member(memory_path, "write", number, stamp=stamps[number])
        victim.wait_for(1)
        time.sleep(draw.uniform(0, 0.2))
        stamps[number] = int(victim.kill()[-1])
        check_batches(store, {number: stamps[number]})
        store.backend.write(store.active, make_stamped_rows(9, turn), insert=False)
    work_together({reader: 5, survivor: 5})


def test_a_second_writer_waits_and_then_says_who_writes(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    other = connect_backend(tmp_path, lock_timeout="0.2")
    current = store.backend._generations.open(store.active)
    with current.lock_writer():
        with Lateness() as lateness:
            with pytest.raises(StoreLocked, match="is writing"):
                other.write(store.active, make_rows([1], 1), insert=False)
            assert lateness.elapsed() > 0.15
            assert lateness.undisturbed() < 2
        assert other.count(store.active, None) == 0
    assert other.write(store.active, make_rows([1], 1), insert=False) == 1


HOLD = """
import sys, time
from pathlib import Path
from tests.file.samples import connect_backend
backend = connect_backend(Path(sys.argv[1]))
entry = backend.find(name="docs")
with backend.builder(entry.uid), backend._generations.open(entry.active).lock_writer():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_dead_writer_holds_nothing(tmp_path: Path) -> None:
    store = Store.create(tmp_path, lock_timeout="0.1")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreLocked, match=f"process {holder.pid} is writing"):
        store.backend.write(store.active, make_rows([1], 1), insert=False)
    uid = store.backend.find(name="docs").uid
    with pytest.raises(StoreLocked), store.backend.builder(uid):
        pass
    holder.kill()
    holder.communicate()
    with store.backend.builder(uid):  # at once: a server may need a moment, and others wait for it
        store.upsert([1], 1)
    store.check()


def test_only_one_builder(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    uid = store.backend.find(name="docs").uid
    other = connect_backend(tmp_path)
    with store.backend.builder(uid):
        for backend in (other, store.backend):  # at once: the lock timeout is ten seconds
            with Lateness() as lateness:
                with pytest.raises(StoreLocked, match="loading store 'docs'"), backend.builder(uid):
                    pass
                assert lateness.undisturbed() < 1
    with other.builder(uid):
        pass


def test_a_reader_follows_another_process(tmp_path: Path) -> None:
    """Every kind of change reaches a process that has all of it in memory."""
    store = Store.create(tmp_path)
    reader = connect_backend(tmp_path)
    draw = random.Random(5)
    for step in range(60):
        if step % 3:
            store.upsert(draw.sample(range(400), draw.choice([1, 3, 70])), step)
        else:
            numbers = [int(id_[3:]) for id_ in draw.sample(sorted(store.model), min(len(store.model), 9))]
            store.delete(numbers)
        assert reader.count(store.active, None) == len(store.model)
        if step % 4 == 0:
            assert read_contents(reader, store.active) == store.model
    store.check()
