"""Which embedding model a command uses: the one that the user names, the default, or none by a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import EmbedderMismatch
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


def check_guess(store: VectorStore, spec: str | None, *, writes: bool = False) -> None:
    """Refuse to guess the model of given vectors, which need not be the default one."""
    if spec is None and embedder_config(store) is None and store.count():
        advice = "Name it with --embedder and add --claim" if writes else "Name it with --embedder"
        raise Failure(
            f"Store {store.name!r} was filled with vectors, and the model that made them is not known. "
            f"{advice}, or give {'vectors' if writes else 'a vector'} instead of {'texts' if writes else 'a text'}."
        )


def check_claim(store: VectorStore, embedder: Embedder, *, claim: bool) -> None:
    """Refuse to write texts into a store of given vectors, unless the user claims it for the embedder."""
    try:
        store.check_embedder(claim=claim)
    except EmbedderMismatch as error:
        if claim or embedder_config(store) is not None or embedder.dim != store.schema.dim:
            raise  # this embedder cannot have made the vectors
        raise Failure(
            f"Store {store.name!r} was filled with vectors, and the model that made them is not known. If it is the "
            "one of --embedder, add --claim; otherwise embed all texts again with `vecstore rebuild`."
        ) from error
