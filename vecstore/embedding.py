"""The embedder of a store: which one fits a generation, checked before its first use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .embedders.identity import Identity
from .errors import DimensionMismatch, EmbedderMismatch, EmbedderRequired, InvalidArgument

if TYPE_CHECKING:
    from .backend import Generation
    from .embedders.base import Embedder

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

_log = logging.getLogger("vecstore")


class StoreEmbedder:
    """The embedders that a store was opened with, at most one of which fits the active generation.

    Two are given while a rebuild changes the model: ``(old, new)``; the process then goes on across the
    switch.
    """

    def __init__(self, given: Any = None) -> None:
        self._given: tuple[Embedder, ...] = given if isinstance(given, tuple) else () if given is None else (given,)
        for embedder in self._given:
            if not hasattr(embedder, "embed_queries"):
                raise InvalidArgument(
                    f"embedder must be an Embedder, not {type(embedder).__name__}. "
                    "For a function use vecstore.embedders.FunctionEmbedder."
                )
        self._lock = Lock()
        self._fitting: dict[str, Embedder] = {}

    def documents(self, generation: Generation) -> Embed | None:
        """Return what embeds documents, or None without an embedder."""
        return self._fit(generation).embed_documents if self._given else None

    def queries(self, generation: Generation) -> Embed:
        """Return what embeds queries.

        Raises
        ------
        EmbedderRequired, EmbedderMismatch
        """
        if not self._given:
            raise EmbedderRequired(
                "The query is a text, and the store has no embedder. Open the store with embedder=…, or give a vector."
            )
        return self._fit(generation).embed_queries

    def _fit(self, generation: Generation) -> Embedder:
        with self._lock:
            if generation.id not in self._fitting:
                self._fitting[generation.id] = self._chosen(generation)
            return self._fitting[generation.id]

    def _chosen(self, generation: Generation) -> Embedder:
        reasons: list[EmbedderMismatch | DimensionMismatch] = []
        for embedder in self._given:
            try:
                _check(embedder, generation)
            except (EmbedderMismatch, DimensionMismatch) as error:
                reasons.append(error)
            else:
                return embedder
        raise reasons[0]


def _check(embedder: Embedder, generation: Generation) -> None:
    schema = generation.schema
    if embedder.dim != schema.width:
        raise EmbedderMismatch(
            f"The embedder makes {embedder.dim} dimensions, the store has {schema.width}. Open the store with the "
            "embedder that filled it, or change the model with Database.rebuild(name, embedder=…)."
        )
    if generation.identity is not None:
        Identity.from_json(generation.identity).check(embedder, schema.metric)
