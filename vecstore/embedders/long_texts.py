"""Long texts: a text with more tokens than the model reads is truncated with one warning, or refused."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from ..errors import InvalidArgument, InvalidMetadata

OnLong: TypeAlias = Literal["truncate", "error"]


class TruncatedText(UserWarning):
    """A text is longer than the model reads, and its end was ignored."""


class LongTexts:
    """The policy of one embedder for long texts.

    Parameters
    ----------
    on_long : {"truncate", "error"}
    """

    def __init__(self, on_long: OnLong) -> None:
        if on_long not in ("truncate", "error"):
            raise InvalidArgument(f"on_long must be 'truncate' or 'error', not {on_long!r}.")
        self._on_long = on_long
        self._warned = False
        self._lock = threading.Lock()

    @property
    def needs_counts(self) -> bool:
        """Whether tokens still have to be counted. After the warning they need not be."""
        return self._on_long == "error" or not self._warned

    def check(
        self, counts: Sequence[int], limit: int, positions: Sequence[int], label: Callable[[int], str], model: str
    ) -> None:
        """Warn once of texts with more than ``limit`` tokens, or refuse them.

        Raises
        ------
        InvalidMetadata
        """
        long = [position for position, count in zip(positions, counts, strict=True) if count > limit]
        if not long:
            return
        message = f"{label(min(long))} is longer than the {limit} tokens that {model!r} reads."
        if self._on_long == "error":
            raise InvalidMetadata(f"{message} Split it into passages.")
        with self._lock:
            warned, self._warned = self._warned, True
        if not warned:
            advice = "The end of such texts is not embedded. Split them, or pass on_long='error'."
            warnings.warn(f"{message} {advice}", TruncatedText, stacklevel=4)
