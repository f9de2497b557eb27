"""Static word embeddings of wordllama: small, fast, and included in its wheel."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra, close_matches
from .base import Embedder, Role
from .fingerprint import hash_files
from .vector_checks import Float32Array

_MODEL = "l2_supercat"
# The wheel contains 256 dimensions, trained so that these prefixes work on their own.
_NATIVE_DIM = 256
_DIMS = (64, 128, 256)


class WordLlamaEmbedder(Embedder[str]):
    """Embed with the averaged token vectors of wordllama's ``l2_supercat`` model.

    Needs no download and no GPU. Texts have no maximal length; word order does not matter.

    Parameters
    ----------
    dim : {256, 128, 64}
    normalize : bool
        Scale every vector to length 1. Otherwise norms are about 2 to 15.
    batch_size : int
        Texts per call of the tokenizer.

    Raises
    ------
    MissingExtra
        wordllama is not installed.
    """

    def __init__(self, dim: int = 256, *, normalize: bool = True, batch_size: int = 256) -> None:
        if dim not in _DIMS:
            raise InvalidArgument(f"wordllama has {', '.join(map(str, _DIMS))} dimensions, not {dim!r}.")
        if importlib.util.find_spec("wordllama") is None:
            raise MissingExtra("wordllama", "wordllama")
        super().__init__(
            kind="wordllama",
            model=_MODEL,
            dim=_NATIVE_DIM,
            normalize=normalize,
            truncate_dim=dim if dim < _NATIVE_DIM else None,
            batch_size=batch_size,
        )
        self._loaded: Any = None
        self._revision: str | None = None

    @classmethod
    def from_spec(cls, model: str | None) -> WordLlamaEmbedder:
        """Build from the part after the colon of ``wordllama[:DIM]``."""
        if model is None:
            return cls()
        dims = {str(dim): dim for dim in _DIMS}
        if model not in dims:
            raise InvalidArgument(f"wordllama takes a number of dimensions, not {model!r}.{close_matches(model, dims)}")
        return cls(dims[model])

    def _encode(self, texts: list[str], role: Role, /) -> Float32Array:
        # Bit by bit what WordLlama.embed() returns, but without padding every text to the longest one. This
        # takes half the time, and memory does not grow with the longest text times the batch.
        model = self._load()
        encoded = model.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        rows = np.zeros((len(texts), _NATIVE_DIM), np.float32)
        for row, tokens in zip(rows, encoded, strict=True):
            if len(tokens.ids):
                model.embedding.take(tokens.ids, axis=0, mode="clip").mean(axis=0, out=row)
        return rows

    def _details(self) -> Mapping[str, Any]:
        self._load()
        return {"revision": self._revision}

    def _load(self) -> Any:
        with self._lock:
            if self._loaded is None:
                self._loaded, self._revision = _load_installed()
            return self._loaded


def _load_installed() -> tuple[Any, str]:
    root = logging.getLogger()
    # Importing wordllama calls logging.basicConfig(level=INFO), which does nothing if there is a handler.
    guard = logging.NullHandler()
    root.addHandler(guard)
    try:
        import wordllama
    finally:
        root.removeHandler(guard)
    # The wheel has its tokenizer in "tokenizers", but wordllama looks in "tokenizer" unless it is given a cache folder.
    package = Path(wordllama.__file__).parent
    weights = package / "weights" / f"{_MODEL}_{_NATIVE_DIM}.safetensors"
    try:
        model = wordllama.WordLlama.load(_MODEL, cache_dir=package, dim=_NATIVE_DIM, disable_download=True)
        fingerprint = hash_files([weights])
    except FileNotFoundError as error:
        raise MissingExtra("The model in wordllama's wheel", "wordllama") from error
    model.tokenizer.no_padding()
    return model, fingerprint
