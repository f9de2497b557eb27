"""One-hot: a dimension for each value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument, UnknownItem
from ..base import OnUnknown, Role
from .saved_model import Arrays, SavedModel
from .vectorizer import Vectorizer, check_dim

Value = str | int

KNOWN_BY_NONE = "Leave it out, make the model again with it, or pass on_unknown='skip'."


class OneHot(Vectorizer[Value]):
    """Embed a value of a few that are known as the one dimension that is its own.

    Parameters
    ----------
    name : str
    batch_size : int
    on_unknown : {"error", "skip"}
        Whether another value is `UnknownItem`, or gets no vector; see `Embedder`.
    """

    kind = "one-hot"
    modality = "value"

    def __init__(self, *, name: str = "own", batch_size: int = 256, on_unknown: OnUnknown = "error") -> None:
        super().__init__(name=name, normalize=False, batch_size=batch_size, on_unknown=on_unknown)
        self._index: dict[Value, int] = {}

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return (str, int)

    def _params(self) -> dict[str, Any]:
        return {"name": self._model, "on_unknown": self._on_unknown}

    def _fit(self, items: list[Value], seed: int) -> None:
        values = sort_values(items, self.name)
        check_dim(len(values), "different values")
        self._index = {value: number for number, value in enumerate(values)}
        self._native_dim = len(values)

    def _check_known(self, items: list[Value], label: Callable[[int], str]) -> None:
        check_all_known(items, self._index, label, self.name)

    def _encode(self, items: list[Value], role: Role, /) -> NDArray[np.float32]:
        rows = np.zeros((len(items), len(self._index)), np.float32)
        for row, value in zip(rows, items, strict=True):
            if (place := find_known(value, self._index)) is not None:
                row[place] = 1
        return rows

    def _take_apart(self) -> tuple[Sequence[Value], Arrays]:
        return list(self._index), {}

    def _put_together(self, model: SavedModel) -> None:
        model.take({})
        values = model.check_vocabulary(str, int)
        check_dim(len(values), "different values")
        self._index = {value: number for number, value in enumerate(values)}
        self._native_dim = len(values)


def sort_values(values: Sequence[Value], name: str) -> list[Value]:
    """Return the different values, numbers before texts.

    Raises
    ------
    InvalidArgument
    """
    for value in values:
        if type(value) not in (str, int):
            raise InvalidArgument(f"{name!r} takes values of the types str and int, not {type(value).__name__}.")
    return sorted(set(values), key=lambda value: (isinstance(value, str), value))


def find_known(value: Value, index: dict[Value, int]) -> int | None:
    """Return the place of a value, or None if it is unknown."""
    return None if isinstance(value, bool) else index.get(value)


def check_all_known(items: Sequence[Value], index: dict[Value, int], label: Callable[[int], str], name: str) -> None:
    """Refuse the first item that is unknown, by its label: messages never show items.

    Raises
    ------
    UnknownItem
    """
    for position, value in enumerate(items):
        if find_known(value, index) is None:
            raise UnknownItem(f"{label(position)}: {name!r} does not know the item. {KNOWN_BY_NONE}")
