"""The folder of an ONNX model: model.onnx, tokenizer.json, and vecstore.json, which says how they are used."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..errors import InvalidArgument, close_matches
from .onnx_locations import find_locations

Pooling: TypeAlias = Literal["none", "mean", "cls", "last"]

MODEL, TOKENIZER, SETTINGS = "model.onnx", "tokenizer.json", "vecstore.json"
FORMAT = 1
POOLINGS: tuple[Pooling, ...] = ("none", "mean", "cls", "last")
_MAX_BYTES = 2**20
_MANY_TOKENS = 10**6
"""Tokenizers that have no limit write a huge number."""


@dataclass(frozen=True)
class FolderSettings:
    """How the model of a folder is used.

    Parameters
    ----------
    model : str
        Its name.
    max_tokens : int
        What it reads of a text, with the tokens that mark its ends.
    pooling : {"none", "mean", "cls", "last"}
        How vectors of tokens become one; ``"none"`` where the graph does that itself.
    prompts : mapping of role to str
    files : mapping of file name to SHA-256, or empty if nobody wrote them down
    """

    model: str
    max_tokens: int
    pooling: Pooling
    prompts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as ``vecstore.json`` keeps them."""
        return {
            "format": FORMAT,
            "model": self.model,
            "max_tokens": self.max_tokens,
            "pooling": self.pooling,
            "prompts": dict(self.prompts),
            "files": dict(self.files),
        }


def check_pooling(pooling: object) -> Pooling:
    """Return ``pooling`` if there is such a kind, or raise `InvalidArgument`."""
    for known in POOLINGS:
        if pooling == known:
            return known
    raise InvalidArgument(f"pooling is {pooling!r}.{close_matches(str(pooling), POOLINGS)}")


def read_settings(folder: Path) -> FolderSettings | None:
    """Return what ``vecstore.json`` says, or None if the folder has no such file.

    Raises
    ------
    InvalidArgument
        The file is damaged, or of a newer vecstore.
    """
    path = folder / SETTINGS
    if not path.exists():
        return None
    content = _read_json(path)
    found = content.get("format")
    if found != FORMAT:
        newer = isinstance(found, int) and found > FORMAT
        advice = "It was written by a newer vecstore." if newer else "Export the model again."
        raise InvalidArgument(f"{path} has format {found!r}, and this vecstore reads {FORMAT}. {advice}")
    model, files, prompts = content.get("model"), content.get("files"), content.get("prompts")
    if not isinstance(model, str) or not model:
        raise _damaged(path, "model")
    if not isinstance(files, dict) or not {MODEL, TOKENIZER} <= files.keys() or not _are_texts(files):
        raise _damaged(path, "files")
    if not isinstance(prompts, dict) or not _are_texts(prompts) or not prompts.keys() <= {"document", "query"}:
        raise _damaged(path, "prompts")
    if content.get("pooling") not in POOLINGS:
        raise _damaged(path, "pooling")
    limit = content.get("max_tokens")
    if not _is_limit(limit):
        raise _damaged(path, "max_tokens")
    return FolderSettings(model, int(limit or 0), check_pooling(content["pooling"]), prompts, files)


def find_max_tokens(folder: Path) -> int | None:
    """Return how many tokens the model of a plain folder reads, or None if none of its files says so."""
    for name, keys in (
        ("sentence_bert_config.json", ("max_seq_length",)),
        (TOKENIZER, ("truncation", "max_length")),
        ("tokenizer_config.json", ("model_max_length",)),
        ("config.json", ("max_position_embeddings",)),
    ):
        if not (folder / name).exists():
            continue
        found: Any = _read_json(folder / name, limited=name != TOKENIZER)
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if _is_limit(found):
            return int(found)
    return None


def hash_model(folder: Path, settings: FolderSettings | None) -> dict[str, str]:
    """Return the SHA-256 of the model, of the files with its weights if they lie beside it, and of its tokenizer.

    Raises
    ------
    InvalidArgument
        A file is not the one that ``vecstore.json`` was written for, or is missing.
    """
    found = {MODEL: _hash_file(folder / MODEL)}
    if settings is not None and settings.files.get(MODEL) != found[MODEL]:
        raise _report_replaced(folder / MODEL)
    # Weights above 2 GB lie in files that begin like this, or have any name that the graph says.
    beside = {path.name for path in folder.glob(f"{MODEL}[._]*") if path.is_file()}
    for name in (*sorted(beside | set(find_locations(folder / MODEL))), TOKENIZER):
        if not (folder / name).is_file():
            raise InvalidArgument(f"{folder / name} with weights of {MODEL} is missing. Export the model again.")
        found[name] = _hash_file(folder / name)
    if settings is not None:
        for name in sorted({*found, *settings.files}):
            if settings.files.get(name) != found.get(name):
                raise _report_replaced(folder / name)
    return found


def _hash_file(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _report_replaced(path: Path) -> InvalidArgument:
    return InvalidArgument(
        f"{path} is not the file that {SETTINGS} was written for: it is damaged, missing or replaced. Export the model "
        "again."
    )


def _read_json(path: Path, *, limited: bool = True) -> dict[str, Any]:
    try:
        # No pipe is waited for, and nothing endless read: the folder may come from anybody.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise InvalidArgument(f"{path} is no regular file.")
            if limited and found.st_size > _MAX_BYTES:
                raise InvalidArgument(f"{path} is too large for what it should hold.")
            content = json.loads(stream.read())
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{path} is not JSON. Export the model again.") from error
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be read: {error.strerror}.") from error
    if not isinstance(content, dict):
        raise InvalidArgument(f"{path} is no JSON object. Export the model again.")
    return content


def _damaged(path: Path, key: str) -> InvalidArgument:
    return InvalidArgument(f"{path} has no usable {key!r}. Export the model again.")


def _are_texts(mapping: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(text, str) for key, text in mapping.items())


def _is_limit(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 2 <= value < _MANY_TOKENS
