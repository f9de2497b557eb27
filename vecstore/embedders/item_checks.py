"""The check of items before a model sees them: each is of a type that it takes, and no text is blank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from ..blank_texts import is_blank
from ..errors import InvalidArgument, InvalidMetadata

T = TypeVar("T")


def check_items(
    items: Iterable[T],
    types: tuple[type, ...],
    label: Callable[[int], str],
    model: str,
    find_fault: Callable[[T], str | None] = lambda item: None,
) -> list[T]:
    """Return items as a list after checking them; ``label`` names the item at a position in messages.

    ``find_fault`` says what a model does not take of an item of the right type.

    Raises
    ------
    InvalidArgument, InvalidMetadata
    """
    what = "texts" if types == (str,) else "items"
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise InvalidArgument(f"{what} must be a list of {name_types(types)}, not one {type(items).__name__}.")
    listed = list(items)
    for position, item in enumerate(listed):
        if not isinstance(item, types):
            raise InvalidArgument(
                f"{label(position)} is {type(item).__name__}, not {name_types(types)}.{_advise(item)}"
            )
        if isinstance(item, str):
            _check_text(item, label, position, model)
        if (fault := find_fault(item)) is not None:
            raise InvalidMetadata(f"{label(position)} {fault}")
    return listed


def name_types(types: Iterable[type]) -> str:
    """Return type names as messages spell them: ``str``, or ``Image or Path``."""
    return " or ".join(dict.fromkeys(each.__name__ for each in types))


def _check_text(text: str, label: Callable[[int], str], position: int, model: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # From None, because the codec's own error contains the text.
        raise InvalidMetadata(f"{label(position)} has a lone surrogate at position {error.start}.") from None
    if is_blank(text):
        what = "is white space" if text else "is an empty text"
        raise InvalidMetadata(
            f"{label(position)} {what}, of which {model!r} would make a vector all the same. Leave it out."
        )


def _advise(item: object) -> str:
    return " A str is never opened as a path; give pathlib.Path(…) for a file." if isinstance(item, str) else ""
