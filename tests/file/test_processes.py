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

from tests.file.concurrent_member import batch_of, stamped
from tests.file.samples import INDEXED, Store, contents, opened, rows
from vecstore.errors import StoreLocked


def member(place: Path, role: str, number: int, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.file.concurrent_member", str(place), role, str(number), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )


def ended(process: subprocess.Popen[str]) -> list[str]:
    output, errors = process.communicate(timeout=60)
    assert errors == ""
    assert process.returncode == 0
    return output.split()


def check_batches(store: Store, acknowledged: dict[int, int]) -> None:
    """Each writer's batch is the last acknowledged one, or, after a kill, the one after it."""
    found = contents(opened(store.place), store.active)
    for writer, stamp in acknowledged.items():
        ids = [f"id-{number:05}" for number in batch_of(writer)]
        stamps = {found[id_].fields["year"] for id_ in ids if id_ in found}
        assert stamps in ({stamp}, {stamp + 1}) or (stamp == 0 and not stamps)
        assert not stamps or all(id_ in found for id_ in ids)
    assert opened(store.place).verify(store.active).ok


def test_writers_take_turns_and_readers_see_whole_commits(memory_path: Path) -> None:
    store = Store.create(memory_path)
    writers = [member(memory_path, "write", number, 4) for number in range(3)]
    readers = [member(memory_path, "read", number, 4) for number in range(2)]
    acknowledged = {}
    for number, process in enumerate(writers):
        stamps = ended(process)
        assert "locked" not in stamps
        assert len(stamps) > 5
        acknowledged[number] = int(stamps[-1])
    for process in readers:
        assert int(ended(process)[0]) > 0
    check_batches(store, acknowledged)
    assert {
        contents(store.backend, store.active)[f"id-{1000 * number:05}"].fields["year"] for number in range(3)
    } == set(acknowledged.values())


def test_readers_see_whole_commits_during_compactions(memory_path: Path) -> None:
    store = Store.create(memory_path)
    writers = [member(memory_path, "write", number, 4) for number in range(2)]
    readers = [member(memory_path, "read", number, 4) for number in range(2)]
    compactor = member(memory_path, "compact", 0, 4)
    acknowledged = {}
    for number, process in enumerate(writers):
        stamps = [int(word) for word in ended(process) if word != "locked"]
        assert len(stamps) > 5
        acknowledged[number] = stamps[-1]
    for process in (*readers, compactor):
        assert int(ended(process)[0]) > 0
    check_batches(store, acknowledged)


def test_readers_see_whole_commits_while_indexes_come_and_go(memory_path: Path) -> None:
    store = Store.create(memory_path, INDEXED, index_min_rows="32")
    for number in (5, 7, 9):
        store.backend.write(store.active, stamped(number, 1), insert=False)
    writers = [member(memory_path, "write", number, 4) for number in range(2)]
    readers = [member(memory_path, "read", number, 4) for number in range(2)]
    keepers = [member(memory_path, role, 0, 4) for role in ("index", "compact")]
    acknowledged = {}
    for number, process in enumerate(writers):
        stamps = [int(word) for word in ended(process) if word != "locked"]
        assert len(stamps) > 5
        acknowledged[number] = stamps[-1]
    indexes, compactions = (int(ended(process)[0]) for process in keepers)
    assert indexes >= 3
    assert compactions >= 3
    for process in readers:
        _, walks = ended(process)
        assert int(walks) > 0
    check_batches(store, acknowledged)


def test_writers_that_are_killed_leave_whole_commits_to_readers(memory_path: Path, seed: int) -> None:
    """The long campaign of kills is elsewhere; here other processes read and write on."""
    store = Store.create(memory_path)
    draw = random.Random(seed)
    reader = member(memory_path, "read", 0, 6)
    survivor = member(memory_path, "write", 3, 6)
    acknowledged = {0: 0, 1: 0, 2: 0}
    until = time.monotonic() + 4
    while time.monotonic() < until:
        number = draw.randrange(3)
        victim = member(memory_path, "write", number, 30)
        assert victim.stdout is not None
        line = victim.stdout.readline()
        time.sleep(draw.uniform(0, 0.2))
        victim.send_signal(signal.SIGKILL)
        rest, _ = victim.communicate()
        stamps = [int(word) for word in (line + rest).split() if word != "locked"]
        acknowledged[number] = stamps[-1] if stamps else acknowledged[number]
        # A writer starts with stamp 1 again: only its last batch counts.
        check_batches(store, {number: acknowledged[number]})
        store.backend.write(store.active, rows([9_000], 1), insert=False)
    survivor_stamps = ended(survivor)
    assert survivor_stamps
    reader.kill()
    reader.communicate()


def test_a_second_writer_waits_and_then_says_who_writes(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    other = opened(tmp_path, lock_timeout="0.2")
    volume = store.backend._generations.of(store.active)
    with volume.held():
        began = time.monotonic()
        with pytest.raises(StoreLocked, match="is writing"):
            other.write(store.active, rows([1], 1), insert=False)
        assert 0.15 < time.monotonic() - began < 2
        assert other.count(store.active, None) == 0
    assert other.write(store.active, rows([1], 1), insert=False) == 1


HOLD = """
import sys, time
from pathlib import Path
from tests.file.samples import opened
backend = opened(Path(sys.argv[1]))
with backend._generations.of(backend.find(name="docs").active).held():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_dead_writer_holds_nothing(tmp_path: Path) -> None:
    store = Store.create(tmp_path, lock_timeout="0.1")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreLocked, match=f"process {holder.pid} is writing"):
        store.backend.write(store.active, rows([1], 1), insert=False)
    holder.kill()
    holder.communicate()
    store.upsert([1], 1)
    store.check()


def test_only_one_builder(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    uid = store.backend.find(name="docs").uid
    other = opened(tmp_path)
    with store.backend.builder(uid):
        began = time.monotonic()
        for backend in (other, store.backend):
            with pytest.raises(StoreLocked, match="rebuilding store 'docs'"), backend.builder(uid):
                pass
        assert time.monotonic() - began < 1
    with other.builder(uid):
        pass


def test_a_reader_follows_another_process(tmp_path: Path) -> None:
    """Every kind of change reaches a process that has all of it in memory."""
    store = Store.create(tmp_path)
    reader = opened(tmp_path)
    draw = random.Random(5)
    for step in range(60):
        if step % 3:
            store.upsert(draw.sample(range(400), draw.choice([1, 3, 70])), step)
        else:
            numbers = [int(id_[3:]) for id_ in draw.sample(sorted(store.model), min(len(store.model), 9))]
            store.delete(numbers)
        assert reader.count(store.active, None) == len(store.model)
        if step % 4 == 0:
            assert contents(reader, store.active) == store.model
    store.check()
