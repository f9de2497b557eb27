"""Which embedding model a command uses: the one that the user names, the default, or none by a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..store import VectorStore
from .exits import Failure

if TYPE_CHECKING:
    from ..embedders.base import Embedder

DEFAULT_EMBEDDER = "wordllama"


def embedder_config(store: VectorStore) -> dict[str, Any] | None:
    """Return the configuration of the model that filled a store, or None if vectors were given."""
    config = store.embedder_config
    return None if config is None else dict(config)


def load_embedder(spec: str | None) -> Embedder:
    """Return the embedder that the user named, or the default one."""
    from ..embedders import load

    return load(spec or DEFAULT_EMBEDDER)


def check_guess(store: VectorStore, spec: str | None) -> None:
    """Refuse to guess the model of given vectors, which need not be the default one."""
    if spec is None and embedder_config(store) is None:
        raise Failure(
            f"Store {store.name!r} was filled with vectors, and the model that made them is not known. "
            "Name it with --embedder, or give a vector instead of a text."
        )
