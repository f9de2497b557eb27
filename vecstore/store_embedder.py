"""The embedder of a store: the one that fits a generation, checked before its first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .embedders.base import Embedder
from .embedders.identity import Identity
from .errors import EmbedderMismatch, EmbedderRequired, InvalidArgument
from .rows.conversion import EmbedTexts

if TYPE_CHECKING:
    from .backend import Generation
    from .lookup import CurrentEntry

EmbedQueries = Callable[[Sequence[str]], NDArray[np.float32]]


class StoreEmbedder:
    """The embedders that a store was opened with. At most one of them fits the active generation.

    Two are given while a rebuild changes the model, as ``(old, new)``, so that the process continues to work
    after the switch.
    """

    def __init__(self, given: Any = None) -> None:
        self._given: tuple[Embedder, ...] = given if isinstance(given, tuple) else () if given is None else (given,)
        for embedder in self._given:
            if not isinstance(embedder, Embedder):
                raise InvalidArgument(
                    f"embedder must be an Embedder, not {type(embedder).__name__}. "
                    "For a function use vecstore.embedders.FunctionEmbedder."
                )
        self._lock = Lock()
        self._fitting: dict[tuple[str, bool], Embedder] = {}

    def __bool__(self) -> bool:
        return bool(self._given)

    def choose_for_documents(self, generation: Generation, store: str) -> EmbedTexts | None:
        """Return the function that embeds documents, or None without an embedder.

        Raises
        ------
        EmbedderMismatch
        """
        return self._find_fitting(generation, store).embed_documents if self._given else None

    def identify(self, generation: Generation, store: str) -> Identity:
        """Return the identity of the embedder that fits the generation."""
        return self._find_fitting(generation, store).identity

    def choose_for_queries(self, generation: Generation, store: str) -> EmbedQueries:
        """Return the function that embeds queries.

        Raises
        ------
        EmbedderRequired, EmbedderMismatch
        """
        if not self._given:
            raise EmbedderRequired(
                "The query is a text, but the store has no embedder. Open the store with embedder=…, or give a vector."
            )
        return self._find_fitting(generation, store).embed_queries

    def refresh(self, current: CurrentEntry, generation: Generation) -> Generation:
        """Look up a generation without an identity again; another process may have stored one since."""
        if generation.identity is not None or not self._given:
            return generation
        return current.read_active(generation)

    def claim(self, current: CurrentEntry, generation: Generation) -> Generation:
        """Store the embedder's identity if it is the first embedder that writes into this generation."""
        if generation.identity is not None:
            return generation
        claimed = replace(generation, identity=self.identify(generation, current.entry.name).to_json())
        current.amend(claimed)
        return claimed

    def _find_fitting(self, generation: Generation, store: str) -> Embedder:
        key = (generation.id, generation.identity is None)
        with self._lock:
            if key not in self._fitting:
                self._fitting[key] = self._choose(generation, store)
            return self._fitting[key]

    def _choose(self, generation: Generation, store: str) -> Embedder:
        reasons: list[EmbedderMismatch] = []
        for embedder in self._given:
            try:
                _check(embedder, generation, store)
            except EmbedderMismatch as error:
                reasons.append(error)
            else:
                return embedder
        raise reasons[0]


def _check(embedder: Embedder, generation: Generation, store: str) -> None:
    schema = generation.schema
    if embedder.dim != schema.width:
        raise EmbedderMismatch(
            f"The embedder makes {embedder.dim} dimensions, but store {store!r} has {schema.width}. Open it with the "
            f"embedder that filled it, or embed its texts again: db.rebuild({store!r}, embedder=…)."
        )
    if generation.identity is not None:
        Identity.from_json(generation.identity).check(embedder, schema.metric, store=store)
