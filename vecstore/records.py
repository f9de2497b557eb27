"""Records as users write and read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One record.

    Parameters
    ----------
    id : str
        1 to 512 bytes of UTF-8, compared byte by byte and never normalised.
    vector : array_like, shape (dim,), optional
        If it is missing, the store's embedder makes it from ``text``. Where the schema says ``vectors="optional"``,
        a record without text, or in a store without embedder, has no vector.
    text : str, optional
    metadata : mapping, optional
        Declared fields, which filters can use, and other JSON values, which are returned unchanged. A tuple comes
        back as a list, and a key with None is left out. NaN and NaT are refused: leave the key out or give None.
    embed : bool
        False leaves a record without a vector as it is, also in a store with an embedder. A record that is read
        without a vector says so, so that a copy of it has none either. It is no part of what makes records equal.
    item : object, optional
        What the store's embedder makes the vector from instead of ``text``: an image, a sound, or a text that is not
        kept. It is handed to the embedder and forgotten: no backend stores it, no record that is read has it, and it is
        no part of what makes records equal. Put what leads back to it, such as its path, into ``metadata``. A rebuild
        with another embedder of texts makes the vector anew from ``text``, because it has nothing else.
    """

    id: str
    vector: ArrayLike | None = None
    text: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    embed: bool = True
    item: Any = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return (
            self.id == other.id
            and self.text == other.text
            and dict(self.metadata) == dict(other.metadata)
            and are_same_vectors(self.vector, other.vector)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show neither text nor vector nor item nor values, because representations end up in logs."""
        has = [name for name in ("vector", "text", "metadata") if getattr(self, name) is not None]
        return f"<Record {self.id!a} with {', '.join(has)}>"


def are_same_vectors(a: ArrayLike | None, b: ArrayLike | None) -> bool:
    """Say whether two vectors have equal numbers, or both are missing."""
    if a is None or b is None:
        return a is b
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))
