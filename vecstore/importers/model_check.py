"""Whether an embedder is the one that made given vectors, as far as a few texts can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..columns.given import Columns
from ..errors import EmbedderMismatch

if TYPE_CHECKING:
    from ..embedders.base import Embedder

_ASKED = 5
_ALIKE = 0.8
"""The cosine that one of the texts must reach. Another model has about 0; a text is often embedded with its title."""


def check_model(columns: Columns, embedder: Embedder, title: str) -> None:
    """Refuse an embedder that makes other vectors of the first texts.

    Raises
    ------
    EmbedderMismatch
    """
    rows = zip(columns.texts or (), columns.vectors, strict=False)
    pairs = [
        (text, np.asarray(vector, np.float64))
        for text, vector in rows
        if isinstance(text, str) and text and vector is not None and np.shape(vector) == (embedder.dim,)
    ][:_ASKED]
    if not pairs:
        return
    made = np.asarray(embedder.embed_documents([text for text, _ in pairs]), np.float64)
    found = np.array([vector for _, vector in pairs])
    norms = np.linalg.norm(made, axis=1) * np.linalg.norm(found, axis=1)
    nearest = float((np.einsum("ij,ij->i", made, found) / np.where(norms > 0, norms, 1)).max())
    if nearest < _ALIKE:
        raise EmbedderMismatch(
            f"The embedder makes other vectors of the first texts of {title}: the cosine is {nearest:.2f} at most. "
            "Give the one that made them, or leave it out."
        )
