"""The end of a command: an error in one line, and an exit code for scripts."""

from __future__ import annotations

import errno
import os

from ..errors import (
    EmbedderMismatch,
    EmbedderRequired,
    PartialWrite,
    StorageError,
    StoreMoved,
    UnknownField,
    UnknownOutcome,
    VecstoreError,
)

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
    (EmbedderMismatch, "On the command line, use --embedder NAME[:MODEL] or `vecstore rebuild`."),
    (EmbedderRequired, "On the command line, use --embedder NAME[:MODEL]."),
    (StoreMoved, "On the command line, give the URL of that place. `vecstore drop --moved` removes what is left here."),
    (UnknownField, "On the command line, use `vecstore declare` or `vecstore rebuild --dynamic`."),
)
"""The command-line form of advice that the library gives in Python."""


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


def get_exit_code(error: BaseException | None) -> int:
    """Return the exit code for an error."""
    if isinstance(error, Failure):
        return error.code
    if isinstance(error, PartialWrite):
        return get_exit_code(error.__cause__)
    if isinstance(error, VecstoreError) and not isinstance(error, StorageError | UnknownOutcome):
        return USAGE
    return STORAGE


def find_hint(error: BaseException) -> str:
    """Return the command-line advice for an error, or an empty string; a message may name a command itself."""
    if "`vecstore " in str(error):
        return ""
    return next((hint for kind, hint in _HINTS if isinstance(error, kind)), "")


def describe_os_error(error: OSError) -> str:
    """Return the operating system's message for an error, without the path that Python adds."""
    if error.errno == errno.ENOENT:
        return "there is no such file"
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
