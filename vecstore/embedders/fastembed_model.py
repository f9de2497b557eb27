"""Models of fastembed, for those who have it: its own ONNX exports, or a model that was registered with it."""

from __future__ import annotations

import importlib.util
from itertools import islice
from typing import Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from .base import Embedder, Role
from .vector_checks import Float32Array


class FastEmbedEmbedder(Embedder):
    """Embed with a ``fastembed.TextEmbedding`` that you made, with its ways for documents and for queries.

    You load the model, because fastembed downloads one that it does not find. What it cuts off a long text it does not
    say. A model in a folder needs no fastembed: see `OnnxEmbedder`.

    Parameters
    ----------
    model : fastembed.TextEmbedding
    name : str, optional
        Name of the model, stored with its vectors. Default: fastembed's.
    normalize : bool
        Scale every vector to length 1.
    truncate_dim : int, optional
        Keep only that many leading components, scaled again under ``normalize``.
    batch_size : int

    Raises
    ------
    MissingExtra
        fastembed is not installed.
    """

    def __init__(
        self,
        model: Any,
        *,
        name: str | None = None,
        normalize: bool = True,
        truncate_dim: int | None = None,
        batch_size: int = 64,
    ) -> None:
        if importlib.util.find_spec("fastembed") is None:
            raise MissingExtra("fastembed", "fastembed")
        if not callable(getattr(model, "embed", None)) or not callable(getattr(model, "query_embed", None)):
            raise InvalidArgument(f"model must be a fastembed.TextEmbedding, not {type(model).__name__}.")
        called = name or getattr(model, "model_name", None)
        if not isinstance(called, str) or not called:
            raise InvalidArgument("name must be a non-empty str that names the model.")
        super().__init__(
            kind="fastembed", model=called, normalize=normalize, truncate_dim=truncate_dim, batch_size=batch_size
        )
        self._loaded = model

    def _encode(self, texts: list[str], role: Role, /) -> Float32Array:
        model, size = self._loaded, len(texts)
        found = model.query_embed(texts) if role == "query" else model.embed(texts, batch_size=size)
        # One more than there should be is seen, and a stream without an end is not read to it.
        return np.array(list(islice(found, size + 1)), np.float32)
