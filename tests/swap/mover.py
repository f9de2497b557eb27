"""A mover that kills itself at a chosen step: it reads a JSON object for each call.

The process forks for each call; the child makes its own connections. A step is any change of a catalogue, each of them
before and after it is made, and the end of a switch's drain.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import vecstore
from vecstore.backend import Backend
from vecstore.swap import calls
from vecstore.testing.processes import tell

STEPS = ("create", "switch", "drop", "amend", "build_index", "make_durable", "tend")


class Countdown:
    """Kills the process at a step."""

    def __init__(self, left: int) -> None:
        self._left = left

    def step(self) -> None:
        """Count one step."""
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, backend: Backend) -> None:
        """Count the steps of a backend."""
        for name in STEPS:
            setattr(backend, name, self._wrap(getattr(backend, name), is_switch=name == "switch"))

    def _wrap(self, method: Callable[..., Any], *, is_switch: bool) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            self.step()
            if is_switch:
                *others, drain = arguments
                arguments = (*others, self._end_with_step(drain))
            result = method(*arguments, **options)
            self.step()
            return result

        return run

    def _end_with_step(self, drain: Callable[[Any], None]) -> Callable[[Any], None]:
        def drain_and_step(changes: Any) -> None:
            drain(changes)
            self.step()

        return drain_and_step


def run(deed: str, source: str, target: str, left: int) -> None:
    """Copy, move or move back, as far as the steps go."""
    countdown = Countdown(left)
    with vecstore.connect(source) as here, vecstore.connect(target) as there:
        for database in (here, there):
            countdown.watch(calls.get_backend(database))
        if deed == "copy":
            here.open("docs").copy_to(there)
        elif deed == "move":
            here.open("docs").move_to(there, accept_volatile=True)
        else:
            there.open("docs").move_back(here, accept_volatile=True)


def obey() -> None:
    """Make each call in a child, and say whether it came to its end."""
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if not child:
            run(**call)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        tell(json.dumps(os.waitstatus_to_exitcode(status)))
