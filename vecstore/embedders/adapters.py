"""The names under which embedders are known on the command line, ``NAME[:MODEL]``, and their adapters."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, close_matches

if TYPE_CHECKING:
    from .base import Embedder

ADAPTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cohere": ("cohere", "CohereEmbedder"),
        "model2vec": ("model2vec", "Model2VecEmbedder"),
        "ollama": ("ollama", "OllamaEmbedder"),
        "onnx": ("onnx_model", "OnnxEmbedder"),
        "openai": ("openai_compatible", "OpenAIEmbedder"),
        "sentence-transformers": ("sentence_transformers", "SentenceTransformersEmbedder"),
        "use": ("universal_sentence_encoder", "UniversalSentenceEncoderEmbedder"),
        "voyage": ("voyage", "VoyageEmbedder"),
        "wordllama": ("wordllama", "WordLlamaEmbedder"),
    }
)
"""The module and the class of each name."""

ALIASES: Mapping[str, str] = MappingProxyType({"multilingual": "use"})
"""Other names that say what an adapter is for."""


def find_spec(config: Mapping[str, Any]) -> str | None:
    """Return the ``NAME[:MODEL]`` of the model with a configuration, or None if the command line cannot load it.

    The configuration may come from a store, so the result is for a person to read and nothing is loaded by it.
    """
    name, model = config.get("kind"), config.get("model")
    if name == "wordllama":
        dim = config.get("truncate_dim")
        return name if dim is None else f"{name}:{dim}"
    if name == "use":
        return "use"
    return f"{name}:{model}" if name in ADAPTERS and isinstance(model, str) and model else None


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
    name = ALIASES.get(name, name)
    if name not in ADAPTERS:
        raise InvalidArgument(f"There is no embedder {name!r}.{close_matches(name, [*ADAPTERS, *ALIASES])}")
    if separator and not model:
        raise InvalidArgument(f"The embedder {spec!r} has no model after the colon.")
    module, adapter = ADAPTERS[name]
    embedder: Embedder = getattr(import_module(f".{module}", __package__), adapter).from_spec(model or None)
    return embedder
