"""Progress on a terminal: a spinner while waiting, and a meter with rate and remaining time.

Without a terminal, only the phases that take long are told, each in a line, so that a log shows what is going on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..progress import Phase
from .output import console, note

_FIRST, _NEXT = 1.0, 10.0
"""Seconds until the first line about a phase, and between two of them."""
_SHOWN = frozenset({"checking", "indexing", "calibrating", "comparing", "compacting"})
"""The phases that have a meter of their own, beside that of the command."""


@contextmanager
def show_wait(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show activity while the context lasts, on a terminal only."""
    screen = console(error=True)
    if quiet or not screen.is_terminal:
        yield
    else:
        with screen.status(what):
            yield


class _RateColumn(ProgressColumn):
    """Records done, and records per second."""

    def render(self, task: Task) -> Text:
        done, unit = int(task.fields.get("records", 0)), task.fields.get("unit", "records")
        rate = f"  {done / task.elapsed:,.0f}/s" if task.elapsed and done else ""
        return Text(f"{done:,} {unit}{rate}", style="dim")


class Meter:
    """Progress of one command; does nothing if quiet, and writes lines without a terminal."""

    def __init__(
        self,
        progress: Progress | None = None,
        task: TaskID | None = None,
        tell: Callable[[str], None] | None = None,
        read_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress, self._task = progress, task
        self._tell, self._read_clock = tell, read_clock
        self._phases: dict[Phase, TaskID] = {}
        self._phase: Phase | None = None
        self._due = 0.0

    def __call__(self, phase: Phase, done: int, total: int | None, /) -> None:
        """Take a phase, what is done of it and its total, as an ``on_progress`` function of `vecstore` does."""
        if phase in _SHOWN:
            self.show_phase(phase, done, total)
        else:
            self.move(total, 0, done, done)

    def show_phase(self, phase: Phase, done: int, total: int | None, /) -> None:
        """Take a phase within the command, which has a meter of its own until it ends; `writing` shows nothing."""
        if phase not in _SHOWN:
            return
        if self._tell:
            self._tell_phase(self._tell, phase, done, total)
        if self._progress:
            unit = "searches" if phase == "calibrating" else "records"
            if phase not in self._phases:
                self._phases[phase] = self._progress.add_task(phase.capitalize(), total=total, unit=unit)
            self._progress.update(self._phases[phase], completed=done, total=total, records=done)
            if done == total:
                self._progress.remove_task(self._phases.pop(phase))

    def move(self, total: int | None, before: int, done: int, records: int) -> None:
        """Take the total in any unit, the amounts done before and now, and the records done."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=before + done, total=total, records=records)

    def _tell_phase(self, tell: Callable[[str], None], phase: Phase, done: int, total: int | None) -> None:
        now = self._read_clock()
        if self._phase != phase or not done:
            self._phase, self._due = phase, now + _FIRST
        elif now >= self._due:
            self._due = now + _NEXT
            unit = "searches" if phase == "calibrating" else "records"
            share = f" of {total:,}" if total else ""
            tell(f"{phase.capitalize()}: {done:,}{share} {unit}")


@contextmanager
def meter(what: str, *, quiet: bool = False) -> Iterator[Meter]:
    """Show progress with rate and remaining time while the context lasts, unless quiet; see `Meter`."""
    screen = console(error=True)
    if quiet or not screen.is_terminal:
        yield Meter(tell=None if quiet else note)
        return
    columns = (TextColumn("{task.description}"), BarColumn(20), _RateColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        yield Meter(progress, progress.add_task(what, total=None))
