"""The embedding model of a server, loaded when a text needs it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ..embedder_choice import load_embedder

if TYPE_CHECKING:
    from ...embedders.base import Embedder


class Models:
    """The model that the user named, or the default one; several threads may ask for it.

    Parameters
    ----------
    spec : str, optional
        As ``--embedder`` names it.
    """

    def __init__(self, spec: str | None) -> None:
        self.spec = spec
        self._lock = Lock()
        self._loaded: Embedder | None = None

    @property
    def is_named(self) -> bool:
        """Whether the user named the model."""
        return self.spec is not None

    def load(self) -> Embedder:
        """Return the model, which is loaded once."""
        with self._lock:
            if self._loaded is None:
                self._loaded = load_embedder(self.spec)
            return self._loaded
