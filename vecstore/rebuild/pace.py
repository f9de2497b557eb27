"""The pace of a rebuild: the limit of records per second, and the progress callback."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..backend import Progress
from ..errors import InvalidArgument
from ..progress import Phase


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed limit of a rebuild, and its progress callback."""

    on_progress: Progress | None = None
    records_per_second: float | None = None

    def __post_init__(self) -> None:
        rate = self.records_per_second
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0):
            raise InvalidArgument(f"records_per_second must be a number above 0, not {rate!r}.")

    def report(self, phase: Phase, done: int, total: int) -> None:
        """Call the progress callback, if there is one."""
        if self.on_progress:
            self.on_progress(phase, done, total)

    def wait(self, copied: int, began: float) -> None:
        """Sleep until the limit allows that ``copied`` records were copied since ``began``."""
        if self.records_per_second:
            time.sleep(max(0.0, began + copied / self.records_per_second - time.monotonic()))
