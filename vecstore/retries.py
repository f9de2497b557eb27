"""Retries: a call tries again when another process has replaced the store's active generation."""

from __future__ import annotations

from types import TracebackType

from .backend import Generation, Superseded
from .errors import BackendUnavailable, EmbedderMismatch, InvalidFilter, InvalidMetadata, InvalidQuery, InvalidVector
from .lookup import CurrentEntry

ATTEMPTS = 8
"""How many generations one call tries when the store's active generation keeps changing."""
SCHEMA_ERRORS = (InvalidVector, InvalidMetadata, InvalidFilter, InvalidQuery, EmbedderMismatch)
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
    """

    __slots__ = ("_current", "_entry", "_left")

    def __init__(self, current: CurrentEntry) -> None:
        self._current = current
        self._entry = current.entry
        self._left = ATTEMPTS

    def __enter__(self) -> Generation:
        self._entry = self._current.entry
        return self._entry.active

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, (Superseded, *SCHEMA_ERRORS)):
            return False
        entry = self._current.look_up()
        if not isinstance(error, Superseded) and entry.active.id == self._entry.active.id:
            return False
        self._left -= 1
        if not self._left:
            raise BackendUnavailable(
                f"Store {entry.name!r} changed its active generation {ATTEMPTS} times during one call. Try again."
            ) from None
        return True
