"""The check of texts before a model sees them: each is a str that UTF-8 can encode."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import InvalidArgument, InvalidMetadata


def check_texts(texts: Iterable[str], label: Callable[[int], str]) -> list[str]:
    """Return texts as a list after checking them; ``label`` names the text at a position in messages.

    Raises
    ------
    InvalidArgument, InvalidMetadata
    """
    if isinstance(texts, str):
        raise InvalidArgument("texts must be a list of str, not one str.")
    texts = list(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidArgument(f"{label(position)} is {type(text).__name__}, not str.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            # From None, because the codec's own error contains the text.
            raise InvalidMetadata(f"{label(position)} has a lone surrogate at position {error.start}.") from None
    return texts
