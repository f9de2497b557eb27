"""Static models of model2vec: a table of token vectors, made from a transformer, and very fast."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from .base import Embedder, Role
from .fingerprint import hash_files
from .vector_checks import Float32Array

_FILES = ("config.json", "model.safetensors", "tokenizer.json")


class Model2VecEmbedder(Embedder):
    """Embed with the averaged token vectors of a model2vec model in a folder.

    Needs neither a download nor torch. A text is read to its end, also where the library would stop after 512 tokens;
    word order does not matter.

    Parameters
    ----------
    folder : path
        With ``config.json``, ``model.safetensors`` and ``tokenizer.json``, as the library saves them.
    name : str, optional
        Name of the model, stored with its vectors. Default: that of the folder.
    normalize : bool
        Scale every vector to length 1.
    truncate_dim : int, optional
        Keep only that many leading components, scaled again under ``normalize``.
    batch_size : int
        Texts per call of the library.

    Raises
    ------
    InvalidArgument
        The folder does not have the files.
    MissingExtra
        model2vec is not installed.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str | None = None,
        normalize: bool = True,
        truncate_dim: int | None = None,
        batch_size: int = 1024,
    ) -> None:
        if importlib.util.find_spec("model2vec") is None:
            raise MissingExtra("model2vec", "model2vec")
        if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
            raise InvalidArgument(f"folder must be the path of a folder, not {folder!r}.")
        self._folder = Path(os.path.expanduser(folder))
        # Without this check the library looks for a mistyped path on the Hub.
        missing = [each for each in _FILES if not (self._folder / each).is_file()]
        if missing:
            raise InvalidArgument(f"The folder {str(self._folder)!r} has no {missing[0]}: it is no model of model2vec.")
        super().__init__(
            kind="model2vec",
            model=name or self._folder.resolve().name,
            normalize=normalize,
            truncate_dim=truncate_dim,
            batch_size=batch_size,
        )
        self._loaded: Any = None
        self._revision: str | None = None

    @classmethod
    def from_spec(cls, model: str | None) -> Model2VecEmbedder:
        """Build from the part after the colon of ``model2vec:FOLDER``."""
        if model is None:
            raise InvalidArgument("The folder is missing. Write model2vec:FOLDER.")
        return cls(model)

    def _encode(self, texts: list[str], role: Role, /) -> Float32Array:
        with self._lock:  # the tokenizer's truncation is state, which a call sets
            model = self._load()
            rows = model.encode(texts, max_length=None, normalize=False, use_multiprocessing=False)
            return np.asarray(rows, np.float32)

    def _details(self) -> Mapping[str, Any]:
        with self._lock:
            self._load()
            return {"revision": self._revision}

    def _load(self) -> Any:
        if self._loaded is None:
            from model2vec import StaticModel
            from safetensors import SafetensorError

            try:
                self._revision = hash_files([self._folder / name for name in _FILES])
                self._loaded = StaticModel.from_pretrained(self._folder, force_download=False)
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                raise InvalidArgument(
                    f"model2vec cannot load {str(self._folder)!r}: {type(error).__name__}."
                ) from error
        return self._loaded
