"""Embedders turn texts into vectors. Each library has one module, imported when it is first named."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .adapters import load

if TYPE_CHECKING:
    from .base import Embedder, Role
    from .function import FunctionEmbedder
    from .identity import Identity
    from .long_texts import TruncatedText
    from .sentence_transformers import SentenceTransformersEmbedder
    from .universal_sentence_encoder import UniversalSentenceEncoderEmbedder
    from .wordllama import WordLlamaEmbedder

__all__ = [
    "Embedder",
    "FunctionEmbedder",
    "Identity",
    "Role",
    "SentenceTransformersEmbedder",
    "TruncatedText",
    "UniversalSentenceEncoderEmbedder",
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
        "TruncatedText": "long_texts",
        "UniversalSentenceEncoderEmbedder": "universal_sentence_encoder",
        "WordLlamaEmbedder": "wordllama",
    }
)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
