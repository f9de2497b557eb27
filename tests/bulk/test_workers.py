"""Worker processes: they end with the program that started them, and what they raise arrives."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import vecstore
from tests.sources import ROOT
from vecstore.bulk.process_cache import ProcessCache
from vecstore.bulk.workers import ATTEMPTS, run_tasks
from vecstore.testing import Place
from vecstore.testing.forks import forked

from .test_loads import SCHEMA
from .workers import die, raise_odd, refuse, work_beside

WAITING = """
import os
import signal
import sys
from pathlib import Path
from tests.bulk.workers import report_and_wait
from vecstore.bulk.workers import run_tasks

def list_pipes():
    if "FORK" in os.environ and not os.fork():  # a child that has what the program had open, and outlives it
        os.read(0, 1)
        os._exit(0)
    yield from map(Path, sys.argv[1:])

if __name__ != "__main__":
    os.kill(os.getpid(), signal.SIGINT)  # a worker that is still starting
else:
    list(run_tasks(report_and_wait, list_pipes(), 2))
"""

WRITING = """
import atexit
import gc
import sys
import psycopg

def count():
    print(sum(not each.closed for each in gc.get_objects() if isinstance(each, psycopg.Connection)))

atexit.register(count)  # before the library, so that it is called after what that has to do at the end
from vecstore import bulk
from tests.bulk.test_loads import SCHEMA
from tests.bulk.workers import make_table

bulk.write_batch(sys.argv[1], "docs", make_table(0, 5))
with bulk.begin(sys.argv[1], "loaded", SCHEMA) as load:
    load.confirm(bulk.write_part(load.ticket, make_table(0, 5)))
count()
"""


@contextmanager
def start_waiting(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Start a program whose two workers are in the middle of a task, in a group of its own as in a terminal.

    The second value has a descriptor of each worker, which is readable once it has ended.
    """
    (program := folder / "program.py").write_text(WAITING)
    pipes = [folder / "a", folder / "b"]
    for each in pipes:
        os.mkfifo(each)
    line = [sys.executable, str(program), *map(str, pipes)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stderr=pipe, text=True, start_new_session=True, env=environment) as child:
        ends = [os.pidfd_open(int(each.read_text())) for each in pipes]
        try:
            yield child, ends
        finally:
            for end in ends:
                os.close(end)
            child.kill()


def wait_for(ends: list[int]) -> None:
    for each in ends:
        assert select.select([each], [], [], 60)[0]


def test_workers_end_with_a_program_that_is_killed(tmp_path: Path) -> None:
    with start_waiting(tmp_path) as (child, ends):
        child.kill()
        wait_for(ends)


def test_workers_end_with_a_program_whose_child_lives_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORK", "1")
    with start_waiting(tmp_path) as (child, ends):
        child.kill()
        wait_for(ends)


def test_an_interrupt_ends_workers_in_silence(tmp_path: Path) -> None:
    with start_waiting(tmp_path) as (child, ends):
        os.killpg(child.pid, signal.SIGINT)
        _, told = child.communicate(timeout=60)
        wait_for(ends)
    assert child.returncode == -signal.SIGINT
    assert told.count("Traceback") == 1
    assert "SpawnProcess" not in told


def test_an_exception_ends_the_other_tasks_at_once(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    tasks = [(pipe, tmp_path / "mark", what) for what in ("wait", "raise")]
    with pytest.raises(ValueError, match="raise"):
        list(run_tasks(work_beside, tasks, 2))
    assert not (tmp_path / "mark").exists()


def test_a_run_that_is_closed_ends_its_tasks_at_once(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    tasks = [(pipe, tmp_path / "mark", what) for what in ("wait", "return")]
    with closing(run_tasks(work_beside, tasks, 2)) as running:
        assert next(running)[1] == "return"
    assert not (tmp_path / "mark").exists()


def test_a_task_that_kills_its_workers_ends_the_run() -> None:
    with pytest.raises(vecstore.WorkerDied, match=rf"{ATTEMPTS} worker processes died .* under way \(7\), "):
        list(run_tasks(die, [7], 2, str))


def test_an_exception_of_a_task_ends_the_run() -> None:
    with pytest.raises(ValueError, match="task 1"):
        list(run_tasks(refuse, [1], 2))


def test_an_exception_that_cannot_be_sent_is_no_death() -> None:
    with pytest.raises(RuntimeError, match=r"workers\.OddError was raised in a worker process"):
        list(run_tasks(raise_odd, [1], 2))


def test_a_process_that_wrote_leaves_no_connection_open(new_place: Callable[[str], Place]) -> None:
    """It keeps two for its next calls."""
    place = new_place("postgres")
    with vecstore.connect(place.url) as database:
        database.create("docs", SCHEMA)
    line = [sys.executable, "-W", "error", "-c", WRITING, place.url]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.returncode, done.stderr) == (["2", "0"], 0, "")


def test_a_forked_child_waits_for_no_thread_of_its_parent() -> None:
    cache = ProcessCache[str]()

    def use() -> None:
        signal.alarm(60)
        assert cache.get("key", lambda _: "made") == "made"

    with cache._lock:  # as a thread that connects
        forked(use)
