"""A table of vectors that something else computed: items of a shop, nodes of a graph, words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InvalidArgument, InvalidVector, ModelDamaged
from ..base import OnUnknown, Role
from .one_hot import Value, check_all_known, find_known
from .saved_model import Arrays, SavedModel
from .vectorizer import Vectorizer

_MOST_DIM = 16_000


class Lookup(Vectorizer[Value]):
    """Embed an id as its row in a table. `from_table` makes one.

    Parameters
    ----------
    name : str
    normalize : bool
        Scale every vector to length 1.
    batch_size : int
    on_unknown : {"error", "skip"}
        Whether another id is `UnknownItem`, or gets no vector; see `Embedder`.
    """

    kind = "lookup"
    modality = "id"

    def __init__(
        self,
        *,
        name: str = "own",
        normalize: bool = True,
        batch_size: int = 4096,
        on_unknown: OnUnknown = "error",
    ) -> None:
        super().__init__(name=name, normalize=normalize, batch_size=batch_size, on_unknown=on_unknown)
        self._index: dict[Value, int] = {}
        self._table = np.empty((0, 0), np.float32)

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return (str, int)

    @classmethod
    def from_table(
        cls,
        ids: Sequence[Value],
        vectors: ArrayLike,
        *,
        name: str = "own",
        normalize: bool = True,
        on_unknown: OnUnknown = "error",
    ) -> Lookup:
        """Return the embedder of a table.

        Parameters
        ----------
        ids : sequence of str or int
        vectors : array_like, shape (len(ids), dim)
            Finite, and not zero.
        name : str
        normalize : bool
        on_unknown : {"error", "skip"}

        Raises
        ------
        InvalidArgument, InvalidVector
        """
        listed: list[Any] = [int(each) if isinstance(each, np.integer) else each for each in list[Any](ids)]
        table = np.array(vectors, np.float32)
        if table.ndim != 2 or len(table) != len(listed) or not table.size:
            raise InvalidVector(f"{len(listed)} ids take a table of as many rows, not one of shape {table.shape}.")
        if not np.isfinite(table).all() or not np.linalg.norm(table, axis=1).all():
            raise InvalidVector("The table has a vector that is zero, or not finite. Leave its id out.")
        made = cls(name=name, normalize=normalize, on_unknown=on_unknown)
        made._table = table
        return made.fit(listed)

    def average(self, ids: Iterable[Value]) -> NDArray[np.float32]:
        """Return the mean of the vectors of several ids, each scaled to length 1: a user as what they took.

        It is a weak profile, as popular items are in everybody's; a table of users from the same factorisation is
        better where there is one. With ``on_unknown="skip"`` unknown ids are left out.

        Returns
        -------
        ndarray, shape (dim,), float32

        Raises
        ------
        UnknownItem
        InvalidVector
            No id is known, or the vectors cancel out.
        """
        listed = list(ids)
        rows = self.embed_documents(listed).astype(np.float64) if listed else np.empty((0, self.dim))
        rows = rows[~np.isnan(rows).any(axis=1)]
        mean = np.mean(rows / np.linalg.norm(rows, axis=1, keepdims=True), axis=0) if len(rows) else np.zeros(self.dim)
        length = np.linalg.norm(mean)
        if length < 1e-9:
            raise InvalidVector(f"{self.name!r} knows none of these {len(listed)} ids, or their vectors cancel out.")
        return (mean / length if self._normalize else mean).astype(np.float32)

    def _params(self) -> dict[str, Any]:
        return {"name": self._model, "normalize": self._normalize, "on_unknown": self._on_unknown}

    def _fit(self, items: list[Value], seed: int) -> None:
        if len(self._table) != len(items):
            raise InvalidArgument("A lookup table is not learned from items. Use Lookup.from_table(ids, vectors).")
        if any(type(each) not in (str, int) for each in items):
            raise InvalidArgument("The ids of a lookup table are of the types str and int.")
        if len(set(items)) < len(items):
            raise InvalidArgument("The table has an id twice.")
        self._index = {value: number for number, value in enumerate(items)}
        self._native_dim = self._table.shape[1]

    def _check_known(self, items: list[Value], label: Callable[[int], str]) -> None:
        check_all_known(items, self._index, label, self.name)

    def _encode(self, items: list[Value], role: Role, /) -> NDArray[np.float32]:
        rows = np.zeros((len(items), self._table.shape[1]), np.float32)
        for row, value in zip(rows, items, strict=True):
            if (place := find_known(value, self._index)) is not None:
                row[:] = self._table[place]
        return rows

    def _take_apart(self) -> tuple[Sequence[Value], Arrays]:
        return list(self._index), {"vectors": self._table}

    def _put_together(self, model: SavedModel) -> None:
        ids = model.check_vocabulary(str, int)
        (self._table,) = model.take({"vectors": (len(ids), None)})
        if not 1 <= self._table.shape[1] <= _MOST_DIM or not ids:
            raise ModelDamaged("The table of a lookup model is empty, or too wide.")
        self._index = {value: number for number, value in enumerate(ids)}
        self._native_dim = self._table.shape[1]
