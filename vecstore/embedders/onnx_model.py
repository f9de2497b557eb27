"""Transformer models in ONNX Runtime: a folder with a graph and a tokenizer, and neither torch nor transformers."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument, MissingExtra
from .base import Embedder, Role, check_whole
from .long_texts import OnLong
from .onnx_folder import (
    MODEL,
    SETTINGS,
    TOKENIZER,
    FolderSettings,
    Pooling,
    check_pooling,
    find_max_tokens,
    hash_model,
    read_settings,
)
from .onnx_session import OnnxSession
from .vector_checks import Float32Array

MIN_COSINE_INT8 = 0.98
"""How near the same int8 file comes to itself on another processor."""


class OnnxEmbedder(Embedder):
    """Embed with a model in a folder, by ONNX Runtime on the processor.

    ``vecstore model export`` and `export_onnx` make such a folder, with ``vecstore.json``, which says how it is used.
    Any other folder with ``model.onnx`` and ``tokenizer.json`` is read too if ``pooling`` is given.

    Parameters
    ----------
    folder : path
    name : str, optional
        Name of the model, stored with its vectors. Default: the one in ``vecstore.json``, or that of the folder.
    pooling : {"none", "mean", "cls", "last"}, optional
        How the vectors of tokens become one; ``"none"`` if the graph does that. For a folder without ``vecstore.json``.
    max_tokens : int, optional
        Read no more of a text. By default as much as the model does.
    prompts : mapping, optional
        Text put before every ``"document"`` and every ``"query"``. A missing role uses that of ``vecstore.json``.
    normalize : bool
        Scale every vector to length 1.
    truncate_dim : int, optional
        Keep only that many leading components, scaled again under ``normalize``.
    batch_size : int
        Texts that are tokenized together. They are cut into batches of about 500 tokens again.
    on_long : {"truncate", "error", "mean"}
        What becomes of a text with more tokens than the model reads.
    threads : int, optional
        By default one for each processor.

    Raises
    ------
    InvalidArgument
        The folder does not have the files, or they are damaged.
    MissingExtra
        onnxruntime or tokenizers is not installed.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str | None = None,
        pooling: Pooling | None = None,
        max_tokens: int | None = None,
        prompts: Mapping[Role, str] | None = None,
        normalize: bool = True,
        truncate_dim: int | None = None,
        batch_size: int = 256,
        on_long: OnLong = "truncate",
        threads: int | None = None,
    ) -> None:
        for library in ("onnxruntime", "tokenizers"):
            if importlib.util.find_spec(library) is None:
                raise MissingExtra(library, "onnx")
        self._folder = _check_folder(folder)
        self._settings = read_settings(self._folder)
        self._use = _join_settings(self._folder, self._settings, name, pooling, max_tokens, prompts)
        self._threads = None if threads is None else check_whole("threads", threads)
        self._session: OnnxSession | None = None
        self._hashes: dict[str, str] = {}
        super().__init__(
            kind="onnx",
            model=self._use.model,
            normalize=normalize,
            truncate_dim=truncate_dim,
            batch_size=batch_size,
            on_long=on_long,
        )

    @classmethod
    def from_spec(cls, model: str | None) -> OnnxEmbedder:
        """Build from the part after the colon of ``onnx:FOLDER``."""
        if model is None:
            raise InvalidArgument("The folder is missing. Write onnx:FOLDER.")
        return cls(model)

    def _encode(self, texts: list[str], role: Role, /) -> Float32Array:
        return self._load().embed(self._prepend(texts, role))

    def _max_tokens(self) -> int | None:
        return self._use.max_tokens

    def _count_tokens(self, texts: list[str], role: Role, /) -> Sequence[int]:
        return self._load().count_tokens(self._prepend(texts, role))

    def _details(self) -> Mapping[str, Any]:
        session = self._load()
        files = dict(self._hashes)
        tokenizer = files.pop(TOKENIZER)
        return {
            "revision": f"sha256:{'+'.join(files.values())}",
            "tokenizer": f"sha256:{tokenizer}",
            "pooling": self._use.pooling,
            "max_tokens": self._use.max_tokens,
            "prompts": dict(self._use.prompts),
            "int8": session.is_quantized,
        }

    def _prepend(self, texts: list[str], role: Role, /) -> list[str]:
        prompt = self._use.prompts[role]
        return [prompt + text for text in texts] if prompt else texts

    def _load(self) -> OnnxSession:
        with self._lock:
            if self._session is None:
                self._hashes = hash_model(self._folder, self._settings)
                use = self._use
                self._session = OnnxSession(self._folder, use.max_tokens, use.pooling, self._threads)
                if self._session.is_quantized:
                    self.min_cosine = MIN_COSINE_INT8
            return self._session


def _check_folder(folder: str | os.PathLike[str]) -> Path:
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        raise InvalidArgument(f"folder must be the path of a folder, not {folder!r}.")
    path = Path(os.path.expanduser(folder))
    if not path.is_dir():
        raise InvalidArgument(f"There is no folder {str(path)!r} with an ONNX model.")
    for name in (MODEL, TOKENIZER):
        if not (path / name).is_file():
            raise InvalidArgument(
                f"The folder {str(path)!r} has no {name}. `vecstore model export` makes such a folder."
            )
    return path


def _join_settings(
    folder: Path,
    found: FolderSettings | None,
    name: str | None,
    pooling: Pooling | None,
    max_tokens: int | None,
    prompts: Mapping[Role, str] | None,
) -> FolderSettings:
    given = dict(prompts or {})
    for role, prompt in given.items():
        if role not in ("document", "query") or not isinstance(prompt, str):
            raise InvalidArgument(f"prompts has a text for 'document' and for 'query', not {role!r}.")
    if found is not None and pooling is not None and pooling != found.pooling:
        raise InvalidArgument(f"{folder / SETTINGS} says pooling={found.pooling!r}. Leave pooling out.")
    if found is None and pooling is None:
        raise InvalidArgument(
            f"The folder {str(folder)!r} has no {SETTINGS}. Say how its vectors of tokens become one: pooling='mean', "
            "'cls' or 'last', or 'none' if the graph does that."
        )
    limit = found.max_tokens if found is not None else find_max_tokens(folder)
    if max_tokens is not None:
        most = check_whole("max_tokens", max_tokens, 3)
        if limit is not None and most > limit:
            raise InvalidArgument(f"max_tokens={most} exceeds the {limit} tokens that the model reads.")
        limit = most
    if limit is None:
        raise InvalidArgument(f"No file in {str(folder)!r} says how many tokens the model reads. Pass max_tokens.")
    return FolderSettings(
        name or (folder.resolve().name if found is None else found.model),
        limit,
        check_pooling(pooling) if found is None else found.pooling,
        {"document": "", "query": ""} | dict(found.prompts if found else {}) | given,
    )
