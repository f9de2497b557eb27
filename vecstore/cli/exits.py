"""How a command ends: what went wrong in one line, and a number for scripts."""

from __future__ import annotations

import errno
import os

from ..errors import EmbedderMismatch, EmbedderRequired, PartialWrite, StorageError, UnknownOutcome, VecstoreError

NEGATIVE = 1
USAGE = 2
STORAGE = 3
INTERRUPTED = 130
PIPE_CLOSED = 141

CODES = (
    "Exit codes: 0 done; 1 the answer is no (a record does not exist, damage was found, recall is too low); "
    "2 wrong arguments or input; 3 the storage failed, is locked or damaged; 130 interrupted."
)


_HINTS: tuple[tuple[type[VecstoreError], str], ...] = (
    (EmbedderMismatch, "Here that is --embedder NAME[:MODEL], or `vecstore rebuild`."),
    (EmbedderRequired, "Here that is --embedder NAME[:MODEL]."),
)
"""What the library's advice, which is in Python, means on the command line."""


class Failure(Exception):
    """A command cannot go on.

    Parameters
    ----------
    message : str
        A sentence or two for a person.
    code : int
    """

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: BaseException | None) -> int:
    """Return the exit code for an error."""
    if isinstance(error, Failure):
        return error.code
    if isinstance(error, PartialWrite):
        return code_of(error.__cause__)
    if isinstance(error, VecstoreError) and not isinstance(error, StorageError | UnknownOutcome):
        return USAGE
    return STORAGE


def hint_for(error: BaseException) -> str:
    """Return the advice on the command line that belongs to an error, or nothing."""
    return next((hint for kind, hint in _HINTS if isinstance(error, kind)), "")


def os_reason(error: OSError) -> str:
    """Return the operating system's words for an error, without the path that Python adds."""
    if error.errno == errno.ENOENT:
        return "there is no such file"
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
