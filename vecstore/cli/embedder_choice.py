"""Which embedding model a command uses: the one that the user names, the default, or none by a guess."""

from __future__ import annotations

import shlex
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


def describe_model(config: dict[str, Any] | None) -> str:
    """Return the model that filled a store as ``--embedder`` takes it, if it does."""
    from ..embedders.adapters import find_spec

    if config is None:
        return "none: vectors were given"
    known = find_spec(config)
    model = str(config.get("model"))
    if known is None:
        return f"{config.get('kind')}:{model}"
    return known if model in known else f"{known} ({model})"


def load_embedder(spec: str | None) -> Embedder:
    """Return the embedder that the user named, or the default one."""
    from ..embedders import load

    if spec is not None and not spec.strip():
        raise Failure(f"--embedder is empty. Name a model, or leave the option out for {DEFAULT_EMBEDDER}.")
    return load(spec or DEFAULT_EMBEDDER)


def check_guess(store: VectorStore, spec: str | None, *, writes: bool = False) -> None:
    """Refuse to take the default model where it is not the one that filled the store, or nobody knows that one."""
    from ..embedders.adapters import find_spec

    config = embedder_config(store)
    known = find_spec(config) if spec is None and config is not None else None
    if known not in {None, DEFAULT_EMBEDDER}:
        raise Failure(
            f"Store {store.name!r} was filled by {describe_model(config)}. Add --embedder {shlex.quote(str(known))}."
        )
    if spec is None and config is None and store.count():
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
