"""Progress on a terminal: a spinner while waiting, and a meter with rate and remaining time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from .output import console


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
        records = int(task.fields.get("records", 0))
        rate = f"  {records / task.elapsed:,.0f}/s" if task.elapsed and records else ""
        return Text(f"{records:,} records{rate}", style="dim")


class Meter:
    """Progress of one command; does nothing without a terminal."""

    def __init__(self, progress: Progress | None = None, task: TaskID | None = None) -> None:
        self._progress, self._task = progress, task

    def __call__(self, done: int, total: int) -> None:
        """Take the records done and their total, as an ``on_progress`` function of `vecstore` does."""
        self.move(total, 0, done, done)

    def move(self, total: int | None, before: int, done: int, records: int) -> None:
        """Take the total in any unit, the amounts done before and now, and the records done."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=before + done, total=total, records=records)


@contextmanager
def meter(what: str, *, quiet: bool = False) -> Iterator[Meter]:
    """Show progress with rate and remaining time while the context lasts, unless quiet or not on a terminal."""
    screen = console(error=True)
    if quiet or not screen.is_terminal:
        yield Meter()
        return
    columns = (TextColumn("{task.description}"), BarColumn(20), _RateColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        yield Meter(progress, progress.add_task(what, total=None))
