"""Long texts: one with more tokens than the model reads is truncated with one warning, refused, or cut into pieces."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..blank_texts import is_blank
from ..errors import InvalidArgument, InvalidMetadata

OnLong: TypeAlias = Literal["truncate", "error", "mean"]

_POLICIES = ("truncate", "error", "mean")
_CountTokens: TypeAlias = Callable[[list[str]], Sequence[int]]


class TruncatedText(UserWarning):
    """A text is longer than the model reads, and its end was ignored."""


class LongTexts:
    """The policy of one embedder for long texts.

    Parameters
    ----------
    on_long : {"truncate", "error", "mean"}
    """

    def __init__(self, on_long: OnLong) -> None:
        if on_long not in _POLICIES:
            raise InvalidArgument(f"on_long must be 'truncate', 'error' or 'mean', not {on_long!r}.")
        self._on_long = on_long
        self._warned = False
        self._lock = threading.Lock()

    @property
    def needs_counts(self) -> bool:
        """Whether tokens have to be counted to warn or to refuse. After the warning they need not be."""
        return self._on_long == "error" or (self._on_long == "truncate" and not self._warned)

    @property
    def policy(self) -> OnLong:
        """What happens to a long text."""
        return self._on_long

    @property
    def cuts(self) -> bool:
        """Whether long texts are embedded piece by piece."""
        return self._on_long == "mean"

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
            advice = "The end of such texts is not embedded. Split them, or pass on_long='error' or 'mean'."
            warnings.warn(f"{message} {advice}", TruncatedText, stacklevel=4)


def cut_text(text: str, count: _CountTokens, limit: int) -> list[tuple[str, int]]:
    """Cut a text into pieces of at most ``limit`` tokens, each with its number of tokens.

    A piece that is too long is halved at the white space nearest to its middle, and anywhere near it in a script that
    writes no spaces. Nothing of the text but white space is lost.

    Raises
    ------
    InvalidArgument
        A prompt leaves nothing of the limit, so that no piece would be short enough.
    """
    (least,) = count(["a"])
    if least > limit:
        raise InvalidArgument(
            f"Beside the prompt nothing is left of the {limit} tokens that the model reads, so that a long text cannot "
            "be cut to fit. Shorten the prompt."
        )
    pieces: list[tuple[str, int]] = []
    waiting = [text]
    while waiting:
        part = waiting.pop()
        if is_blank(part):
            continue
        (tokens,) = count([part])
        if tokens <= limit or len(part) == 1:
            pieces.append((part, tokens))
            continue
        middle = _find_break(part)
        waiting += [part[middle:].strip(), part[:middle].strip()]
    return pieces


def average_pieces(
    rows: NDArray[np.float32], owners: Sequence[int], tokens: Sequence[int], texts: int
) -> NDArray[np.float32]:
    """Return for each text the mean of the rows that it owns, weighted by their tokens. Owners are in order."""
    starts = np.searchsorted(owners, range(texts))
    weights = np.asarray(tokens, np.float64)[:, np.newaxis]
    means: NDArray[np.float64] = np.add.reduceat(rows * weights, starts) / np.add.reduceat(weights, starts)
    return means.astype(np.float32)


def _find_break(text: str) -> int:
    """Return where to halve a text of at least two characters."""
    middle = len(text) // 2
    for distance in range(middle // 2 + 1):
        for place in (middle - distance, middle + distance):
            if 0 < place < len(text) and text[place].isspace():
                return place
    return middle
