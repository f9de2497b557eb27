"""Transformer models of the sentence-transformers library."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from .base import Embedder, Role
from .fingerprint import hash_directory
from .long_texts import OnLong
from .prompts import PROMPT_NAMES, Prompts
from .vector_checks import Float32Array

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_MEDIA = frozenset({"audio", "image", "video"})


class SentenceTransformersEmbedder(Embedder[str]):
    """Embed with a model of the sentence-transformers library.

    Parameters
    ----------
    model : str, path or SentenceTransformer
        A name on the Hugging Face Hub, a directory, or a loaded model.
    name : str, optional
        Name of the model, stored with its vectors. Default: the Hub name, or the last part of the path.
    revision : str, optional
        Commit, tag or branch on the Hub.
    device : str, optional
        Such as ``"cpu"`` or ``"cuda:1"``. By default the library chooses.
    prompts : mapping, optional
        Text put before every ``"document"`` and every ``"query"``. A missing role uses the model's own
        setting; ``""`` switches a prompt off. A model without prompts gets none.
    prompt_names : mapping, optional
        The same, with the name of one of the model's own prompts.
    normalize : bool
        Scale every vector to length 1. Pass False for models trained for the dot product.
    truncate_dim : int, optional
        Keep only that many leading components, scaled again under ``normalize``.
    batch_size : int
        Texts per forward pass.
    on_long : {"truncate", "error", "mean"}
        Whether a text with more tokens than the model reads is truncated with one warning, refused, or embedded as the
        mean of its pieces.

    Raises
    ------
    MissingExtra
        sentence-transformers is not installed.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | SentenceTransformer,
        *,
        name: str | None = None,
        revision: str | None = None,
        device: str | None = None,
        prompts: Mapping[Role, str] | None = None,
        prompt_names: Mapping[Role, str] | None = None,
        normalize: bool = True,
        truncate_dim: int | None = None,
        batch_size: int = 32,
        on_long: OnLong = "truncate",
    ) -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise MissingExtra("sentence-transformers", "sentence-transformers")
        self._source: str | None = None
        self._loaded: SentenceTransformer | None = None
        if isinstance(model, str | os.PathLike):
            self._source = _resolve_source(os.fspath(model))
            name = name or _shorten_name(self._source)
        else:
            self._loaded = _check_instance(model, revision, device)
            name = name or _name_instance(model)
        super().__init__(
            kind="sentence-transformers",
            model=name,
            normalize=normalize,
            truncate_dim=truncate_dim,
            batch_size=batch_size,
            on_long=on_long,
        )
        self._wanted_revision = revision
        self._device = device
        self._prompts = Prompts(prompts, prompt_names)
        self._revision: str | None = None
        self._hashed = False

    @classmethod
    def from_spec(cls, model: str | None) -> SentenceTransformersEmbedder:
        """Build from the part after the colon of ``sentence-transformers:MODEL``."""
        if model is None:
            raise InvalidArgument(
                "The model is missing. Write sentence-transformers:NAME or sentence-transformers:/path/of/a/directory."
            )
        return cls(model)

    def _encode(self, texts: list[str], role: Role, /) -> Float32Array:
        # A fast tokenizer keeps padding and truncation as state and fails if two threads use it at once.
        with self._lock:
            model = self._load()
            encode = model.encode_query if role == "query" else model.encode_document
            inputs: list[Any] = list(texts)
            if _MEDIA.intersection(name for name in getattr(model, "modalities", ()) if isinstance(name, str)):
                # Such a model would open a str that looks like the URL or path of an image.
                inputs = [{"text": text} for text in texts]
            rows = encode(
                inputs,
                prompt=self._find_prompt(role),
                batch_size=len(texts),
                show_progress_bar=False,
                convert_to_numpy=True,
            )
            return np.asarray(rows, np.float32)

    def _max_tokens(self) -> int | None:
        from transformers import PreTrainedTokenizerBase

        model = self._load()
        limit = model.max_seq_length
        counts = isinstance(getattr(model[0], "tokenizer", None), PreTrainedTokenizerBase)
        # Tokenizers without a limit return a huge number.
        return limit if counts and isinstance(limit, int) and limit < 10**9 else None

    def _count_tokens(self, texts: list[str], role: Role, /) -> Sequence[int]:
        with self._lock:
            prompt = self._find_prompt(role)
            encoded = self._load().tokenizer([prompt + text for text in texts], truncation=False, verbose=False)
            return [len(ids) for ids in encoded["input_ids"]]

    def _details(self) -> Mapping[str, Any]:
        with self._lock:
            model = self._load()
            if not self._hashed:
                commit = getattr(getattr(model.transformers_model, "config", None), "_commit_hash", None)
                self._revision = commit or self._wanted_revision or hash_directory(self._source)
                self._hashed = True
            return {
                "revision": self._revision,
                "max_tokens": self._max_tokens(),
                "prompts": {role: self._find_prompt(role) for role in PROMPT_NAMES},
            }

    def load_model(self) -> SentenceTransformer:
        """Return the model of the library, loaded once."""
        return self._load()

    def _find_prompt(self, role: Role) -> str:
        model = self._load()
        return self._prompts.find(role, model.prompts, model.default_prompt_name, self.name)

    def _load(self) -> SentenceTransformer:
        with self._lock:
            if self._loaded is None:
                from sentence_transformers import SentenceTransformer

                try:
                    self._loaded = SentenceTransformer(
                        self._source, device=self._device, revision=self._wanted_revision
                    )
                except (OSError, ValueError) as error:
                    reason = str(error).partition("\n")[0]
                    raise InvalidArgument(f"sentence-transformers cannot load {self._source!r}: {reason}") from error
            return self._loaded


def _resolve_source(model: str) -> str:
    # Without this check the library looks for a mistyped path on the Hub and retries for a minute.
    if model.startswith(("/", ".", "~")):
        model = os.path.expanduser(model)
        if not os.path.isdir(model):
            raise InvalidArgument(f"There is no directory {model!r} with a sentence-transformers model.")
    if not model:
        raise InvalidArgument("The name of a sentence-transformers model is empty.")
    return model


def _shorten_name(source: str) -> str:
    return Path(source).resolve().name if os.path.isdir(source) else source


def _check_instance(model: object, revision: str | None, device: str | None) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    if not isinstance(model, SentenceTransformer):
        raise InvalidArgument(f"model must be a name, a path or a SentenceTransformer, not {type(model).__name__}.")
    if revision is not None or device is not None:
        raise InvalidArgument("A loaded model already has its revision and device. Pass neither of them.")
    return model


def _name_instance(model: SentenceTransformer) -> str:
    source = getattr(getattr(model.transformers_model, "config", None), "_name_or_path", "")
    if not source:
        raise InvalidArgument("This model has no name. Pass name=….")
    return _shorten_name(source)
