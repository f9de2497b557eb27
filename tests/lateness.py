"""How late a busy machine is: what is added to each bound on time that is a promise."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

_STEP = 0.01


class Lateness:
    """Measures, while its context lasts, how much later than asked a thread of this process was woken.

    A promise such as "within the timeout and a second" holds for a process that gets the processor when it asks for
    it. On a machine that is busy with other things the same call takes longer by the time for which it had to wait.
    A thread that only sleeps sees that time; on an idle machine it is a few hundredths of a second.

    Attributes
    ----------
    started : float
        When the context was entered, by `time.monotonic`.
    """

    def __init__(self) -> None:
        self.started = 0.0
        self._late = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sleep_repeatedly, daemon=True)

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def undisturbed(self) -> float:
        """Return the seconds since the start without those for which the process had to wait for the processor."""
        return self.elapsed() - self._late

    def _sleep_repeatedly(self) -> None:
        asked = time.monotonic()
        while not self._ended.wait(_STEP):
            woken = time.monotonic()
            self._late += max(0.0, woken - asked - _STEP)
            asked = woken
