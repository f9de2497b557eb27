"""What a fitted vectoriser is made of: everything that its two files hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelDamaged

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class SavedModel:
    """One fitted vectoriser as data.

    Attributes
    ----------
    kind : str
        Its name in the registry of classes, never a path of code.
    params : mapping
        The arguments of its class.
    vocabulary : list of str or int
        What the rows of its tables stand for.
    canaries : list
        The items whose vectors are among the arrays as ``canaries``.
    fit : mapping
        What it was fitted to: number of items, seed, SHA-256 of the items.
    libraries : mapping of str to str
        The versions that fitted it, for people to read.
    arrays : mapping of str to ndarray, float32
    """

    kind: str
    params: Mapping[str, Any]
    vocabulary: Sequence[Any]
    canaries: Sequence[Any]
    fit: Mapping[str, Any]
    libraries: Mapping[str, str]
    arrays: Arrays

    def take(self, shapes: Mapping[str, tuple[int | None, ...]]) -> list[NDArray[np.float32]]:
        """Return the arrays of these names after checking that they are all there are, and their shapes.

        None stands for a length that another check decides.

        Raises
        ------
        ModelDamaged
        """
        if set(self.arrays) != {*shapes, "canaries"}:
            raise ModelDamaged(f"The weights of a {self.kind} model are {', '.join(shapes)}, and others are there.")
        for name, shape in shapes.items():
            found = self.arrays[name].shape
            same = len(found) == len(shape) and all(
                want in (None, have) for want, have in zip(shape, found, strict=True)
            )
            if not same:
                raise ModelDamaged(f"The weights {name!r} of a {self.kind} model have the shape {found}.")
        return [self.arrays[name] for name in shapes]

    def check_vocabulary(self, *types: type) -> list[Any]:
        """Return the vocabulary if each entry is of one of these types and none appears twice.

        Raises
        ------
        ModelDamaged
        """
        if not set(map(type, self.vocabulary)) <= set(types):
            raise ModelDamaged(f"The vocabulary of a {self.kind} model has an entry of another type.")
        # 1 and "1" differ, and bool, which equals a number, is none of the types.
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ModelDamaged(f"The vocabulary of a {self.kind} model has an entry twice.")
        return list(self.vocabulary)
