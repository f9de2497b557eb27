"""Rows of a table with several columns of categories: the one-hot vectors of all columns, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument, ModelDamaged, UnknownItem
from ..base import OnUnknown, Role
from .one_hot import KNOWN_BY_NONE, Value, find_known, sort_values
from .saved_model import Arrays, SavedModel
from .vectorizer import Vectorizer, check_dim

Row = Mapping[str, Value | None]


class Categorical(Vectorizer[Row]):
    """Embed the row of a table by its categories: two rows are as near as they have values in common.

    Parameters
    ----------
    columns : sequence of str
        The keys of a row that count. A row may lack some of them, or have None there.
    name : str
    normalize : bool
    batch_size : int
    on_unknown : {"error", "skip"}
        Whether another value is `UnknownItem`, or counts as missing.
    """

    kind = "categorical"
    modality = "row"

    def __init__(
        self,
        columns: Sequence[str],
        *,
        name: str = "own",
        normalize: bool = True,
        batch_size: int = 256,
        on_unknown: OnUnknown = "error",
    ) -> None:
        if isinstance(columns, str) or not columns or any(not isinstance(each, str) for each in columns):
            raise InvalidArgument("columns must be a list of the keys that count, such as ['colour', 'size'].")
        if len(set(columns)) < len(columns):
            raise InvalidArgument("columns has a key twice.")
        super().__init__(name=name, normalize=normalize, batch_size=batch_size, on_unknown=on_unknown)
        self._columns = tuple(columns)
        self._values: list[list[Value]] = []
        self._indexes: list[dict[Value, int]] = []

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return (Mapping,)

    def _params(self) -> dict[str, Any]:
        return {
            "columns": list(self._columns),
            "name": self._model,
            "normalize": self._normalize,
            "on_unknown": self._on_unknown,
        }

    def _fit(self, items: list[Row], seed: int) -> None:
        found = [
            sort_values([value for item in items if (value := item.get(column)) is not None], f"{self.name}, {column}")
            for column in self._columns
        ]
        self._set_values(found)

    def _set_values(self, values: list[list[Value]]) -> None:
        check_dim(sum(map(len, values)), "different values")
        if not any(values):
            raise InvalidArgument(f"No row has a value in {', '.join(self._columns)}.")
        self._values = values
        starts = np.cumsum([0, *map(len, values)]).tolist()
        self._indexes = [
            {value: start + number for number, value in enumerate(each)}
            for start, each in zip(starts, values, strict=False)
        ]
        self._native_dim = starts[-1]

    def _check_known(self, items: list[Row], label: Callable[[int], str]) -> None:
        for position, item in enumerate(items):
            for column, index in zip(self._columns, self._indexes, strict=True):
                value = item.get(column)
                if value is not None and find_known(value, index) is None:
                    raise UnknownItem(
                        f"{label(position)}: {self.name!r} does not know the value in the column {column!r}. "
                        f"{KNOWN_BY_NONE}"
                    )

    def _encode(self, items: list[Row], role: Role, /) -> NDArray[np.float32]:
        rows = np.zeros((len(items), self._native_dim or 0), np.float32)
        for row, item in zip(rows, items, strict=True):
            for column, index in zip(self._columns, self._indexes, strict=True):
                value = item.get(column)
                if value is not None and (place := find_known(value, index)) is not None:
                    row[place] = 1
        return rows

    def _choose_canaries(self) -> list[dict[str, Value]]:
        """Return rows of the first values of each column."""
        found = [
            {
                column: values[number]
                for column, values in zip(self._columns, self._values, strict=True)
                if number < len(values)
            }
            for number in range(3)
        ]
        return [row for row in found if row]

    def _take_apart(self) -> tuple[Sequence[list[Value]], Arrays]:
        return self._values, {}

    def _put_together(self, model: SavedModel) -> None:
        model.take({})
        lists = list(model.vocabulary)
        if len(lists) != len(self._columns) or any(type(each) is not list for each in lists):
            raise ModelDamaged("A categorical model has a list of values for each column.")
        for values in lists:
            if any(type(each) not in (str, int) for each in values) or len(set(values)) < len(values):
                raise ModelDamaged("A categorical model has a value twice, or one that is no str or int.")
        self._set_values(lists)
