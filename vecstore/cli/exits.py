"""How a command ends: what went wrong in one line, and a number for scripts."""

from __future__ import annotations

import errno
import os

from ..errors import PartialWrite, StorageError, UnknownOutcome, VecstoreError

NEGATIVE = 1
USAGE = 2
STORAGE = 3
INTERRUPTED = 130
PIPE_CLOSED = 141

CODES = (
    "Exit codes: 0 done; 1 the answer is no (a record does not exist, damage was found, recall is too low); "
    "2 wrong arguments or input; 3 the storage failed, is locked or damaged; 130 interrupted."
)


class Failure(Exception):
    """A command cannot go on.

    Parameters
    ----------
    message : str
        One sentence for a person.
    code : int
    cause : VecstoreError, optional
        The library's error behind it, whose name machines get.
    """

    def __init__(self, message: str, code: int = USAGE, cause: VecstoreError | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.cause = cause


def code_of(error: BaseException | None) -> int:
    """Return the exit code for an error."""
    if isinstance(error, Failure):
        return error.code
    if isinstance(error, PartialWrite):
        return code_of(error.__cause__)
    if isinstance(error, VecstoreError) and not isinstance(error, StorageError | UnknownOutcome):
        return USAGE
    return STORAGE


def os_reason(error: OSError) -> str:
    """Return the operating system's words for an error, without the path that Python adds."""
    if error.errno == errno.ENOENT:
        return "there is no such file"
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
