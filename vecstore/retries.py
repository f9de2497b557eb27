"""Retries: a call tries again when another process has replaced the store's active generation."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from .backend import Generation, Superseded
from .errors import (
    BackendUnavailable,
    EmbedderMismatch,
    EmbedderRequired,
    InvalidFilter,
    InvalidMetadata,
    InvalidQuery,
    InvalidVector,
)
from .lookup import CurrentEntry

ATTEMPTS = 8
"""How many generations one call tries when the store's active generation keeps changing."""
SCHEMA_ERRORS = (InvalidVector, InvalidMetadata, InvalidFilter, InvalidQuery, EmbedderMismatch, EmbedderRequired)
"""Errors that another generation may not have."""


class Attempts:
    """The attempts of one call on the active generation: a context manager that a loop enters for each attempt.

    ::

        attempts = Attempts(current)
        while True:
            with attempts as generation:
                return current.backend.count(generation, …)

    Other processes replace the active generation. A block that fails because of this is left silently, and the
    loop tries again with the generation that the catalogue names now. An error about the schema counts too:
    what does not fit the generation that this object knew may fit its successor.

    With the name of a ``call``, its end is logged at DEBUG by ``vecstore.calls``.

    Attributes
    ----------
    rows : int, optional
        For the log: how many records the call read, wrote or found.
    plan : str
        For the log: how a search found them.
    is_logged : bool
    """

    __slots__ = ("_began", "_call", "_current", "_entry", "_left", "_logger", "is_logged", "plan", "rows")

    def __init__(self, current: CurrentEntry, call: str = "") -> None:
        if current.route.successor is not None:
            current.notice()
        self._current = current
        self._entry = current.entry
        self._left = ATTEMPTS
        self.is_logged = False
        # An application that logs has loaded the module. Inline, because each search comes by here.
        logging = sys.modules.get("logging") if call else None
        if logging is not None:
            self._logger: Any = logging.getLogger("vecstore.calls")
            if self._logger.isEnabledFor(logging.DEBUG):
                self.is_logged, self._call, self._began = True, call, time.perf_counter()
                self.rows: int | None = None
                self.plan = ""

    def __enter__(self) -> Generation:
        self._entry = self._current.entry
        return self._entry.active

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, (Superseded, *SCHEMA_ERRORS)):
            if self.is_logged:
                self._log(error)
            return False
        entry = self._current.look_up()
        if not isinstance(error, Superseded) and entry.active.id == self._entry.active.id:
            if self.is_logged:
                self._log(error)
            return False
        self._left -= 1
        if not self._left:
            raise BackendUnavailable(
                f"Store {entry.name!r} changed its active generation {ATTEMPTS} times during one call. Try again."
            ) from None
        return True

    def _log(self, error: BaseException | None) -> None:
        """Write the line about the call: no ids, texts, vectors or values, and of an error only its class."""
        parts = [f"{(time.perf_counter() - self._began) * 1000:.2f} ms"]
        if error is not None:
            parts.append(type(error).__name__)
        elif self.rows is not None:
            parts.append(f"{self.rows} rows")
        if self.plan:
            parts.append(self.plan)
        parts.append(f"{ATTEMPTS - self._left} retries")
        self._logger.debug("%s %s: %s", self._call, self._entry.name, ", ".join(parts))
