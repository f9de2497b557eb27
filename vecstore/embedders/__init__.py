"""Embedders turn texts into vectors. Each library has one module, imported when it is first named."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, close_matches

if TYPE_CHECKING:
    from .base import Embedder, Role, TruncatedText
    from .function import FunctionEmbedder
    from .identity import Identity
    from .sentence_transformers import SentenceTransformersEmbedder
    from .wordllama import WordLlamaEmbedder

__all__ = [
    "Embedder",
    "FunctionEmbedder",
    "Identity",
    "Role",
    "SentenceTransformersEmbedder",
    "TruncatedText",
    "WordLlamaEmbedder",
    "load",
]

_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "Embedder": "base",
        "FunctionEmbedder": "function",
        "Identity": "identity",
        "Role": "base",
        "SentenceTransformersEmbedder": "sentence_transformers",
        "TruncatedText": "base",
        "WordLlamaEmbedder": "wordllama",
    }
)

_ADAPTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "sentence-transformers": ("sentence_transformers", "SentenceTransformersEmbedder"),
        "wordllama": ("wordllama", "WordLlamaEmbedder"),
    }
)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load(spec: str) -> Embedder:
    """Return the embedder with a name, as given on the command line.

    Parameters
    ----------
    spec : str
        ``NAME[:MODEL]``, such as ``"wordllama"`` or ``"sentence-transformers:all-MiniLM-L6-v2"``.
        It must come from the person or program that opens the store, never from stored data.

    Returns
    -------
    Embedder

    Raises
    ------
    InvalidArgument
        The name is unknown, or the library does not have the model.
    MissingExtra
        The library behind the name is not installed.
    """
    name, separator, model = spec.partition(":")
    if name not in _ADAPTERS:
        raise InvalidArgument(f"There is no embedder {name!r}.{close_matches(name, _ADAPTERS)}")
    if separator and not model:
        raise InvalidArgument(f"The embedder {spec!r} has no model after the colon.")
    module, adapter = _ADAPTERS[name]
    embedder: Embedder = getattr(import_module(f".{module}", __name__), adapter).from_spec(model or None)
    return embedder
