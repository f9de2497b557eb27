"""Progress of long calls: the caller's function ``on_progress``, and how its exceptions reach the caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from .errors import InvalidArgument

Phase = Literal["writing", "checking", "copying", "indexing", "calibrating", "comparing", "compacting"]
"""What a call is doing: writing batches, checking whether stored values fit a field, copying records into a new
generation, building the index, measuring which search effort it needs, comparing a copy with its source, or reclaiming
space."""


class Progress(Protocol):
    """What ``on_progress`` takes: a function that is called now and then, in the thread of the call that it watches.

    An exception that it raises ends the call and reaches the caller unchanged. The store stays consistent: batches
    that were committed stay, an index that was being built is given up, and the former one stays in use.
    """

    def __call__(self, phase: Phase, done: int, total: int | None, /) -> None:
        """Take what the call is doing, how many records are done, and of how many; None if that is unknown.

        While calibrating, the searches are counted.
        """


class CallbackFailed(BaseException):
    """Carries an exception of the caller's function past the handlers of a backend, which would take it for its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def report_to(on_progress: Progress | None) -> Iterator[Progress | None]:
    """Give what reports to a caller's function; what that raises leaves the context as it is.

    Raises
    ------
    InvalidArgument
        It cannot be called.
    """
    if on_progress is None:
        yield None
        return
    if not callable(on_progress):
        raise InvalidArgument(f"on_progress must be a function, not {type(on_progress).__name__}.")
    called = on_progress

    def report(phase: Phase, done: int, total: int | None, /) -> None:
        try:
            called(phase, done, total)
        except BaseException as error:  # an interrupt too
            raise CallbackFailed(error) from error

    try:
        yield report
    except CallbackFailed as failed:
        error = failed.error
        for note in getattr(failed, "__notes__", ()):
            error.add_note(note)
        raise error from error.__cause__
