"""The names under which embedders are known on the command line, ``NAME[:MODEL]``, and their adapters."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, close_matches
from .spec_options import cut_options, read_options
from .vectorizers.kinds import KINDS

if TYPE_CHECKING:
    from .base import Embedder

ADAPTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "clip": ("clip", "ClipEmbedder"),
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

_FOLDERS: Mapping[str, tuple[str, str]] = MappingProxyType({"vectorizer": ("vectorizers.vectorizer", "Vectorizer")})
"""What is no library but a folder, whose files say the rest."""

_OF_FOLDERS = frozenset({"model2vec", "onnx"})
"""Adapters whose MODEL is a folder, of which a configuration does not say where it is."""

_MAY_BE_FOLDERS = _OF_FOLDERS | _FOLDERS.keys() | {"clip", "sentence-transformers"}
"""Names whose MODEL may be a folder of this machine."""

_PLAIN = re.compile(r"[A-Za-z0-9_./@-][A-Za-z0-9_./:@-]*")
"""A name of a model that a message may repeat as a part of a command."""

ENTRY_POINTS = "vecstore.embedders"
"""The entry-point group for embedders of other packages. The names above cannot be taken."""

ALIASES: Mapping[str, str] = MappingProxyType({"multilingual": "use"})
"""Other names that say what an adapter is for."""


def find_spec(config: Mapping[str, Any]) -> str | None:
    """Return the ``NAME[:MODEL]`` of the model with a configuration, or None if the command line cannot load it.

    The configuration may come from a store, so the result is for a person to read and nothing is loaded by it. It never
    has options, with which a store could make its reader send keys and texts elsewhere. Of a model in a folder only
    the name is known: its MODEL is ``FOLDER``.
    """
    name, model = config.get("kind"), config.get("model")
    if name == "wordllama":
        dim = config.get("truncate_dim")
        return f"{name}:{dim}" if type(dim) is int else name
    if name == "use":
        return "use"
    if name in KINDS:
        return "vectorizer:FOLDER"
    if name not in ADAPTERS or not isinstance(model, str) or not _PLAIN.fullmatch(model):
        return None
    return f"{name}:FOLDER" if name in _OF_FOLDERS else f"{name}:{model}"


def make_absolute(spec: str) -> str:
    """Return a ``NAME:FOLDER`` that means the same folder in a process with another working directory.

    Anything else is returned as it is: names of models, and folders that are not there.
    """
    name, _, model = spec.partition(":")
    folder, _ = cut_options(model)
    if name not in _MAY_BE_FOLDERS or not folder or not os.path.isdir(folder):
        return spec
    return f"{name}:{os.path.join(os.getcwd(), folder)}{model[len(folder) :]}"


def load(spec: str) -> Embedder[Any]:
    """Return the embedder with a name, as given on the command line or in a configuration.

    Parameters
    ----------
    spec : str
        ``NAME[:MODEL][?option=value&…]``, such as ``"wordllama"``, ``"sentence-transformers:all-MiniLM-L6-v2"``,
        ``"onnx:./folder"``, ``"vectorizer:./folder"`` or ``"openai:MODEL?dimensions=256&key_variable=MY_KEY"``. Names
        of other packages come from the entry-point group ``vecstore.embedders``: a callable that takes the model, or
        None, and the options as a dict of str. A secret is never a part of it, only the name of an environment
        variable. It must come from the person or program that opens the store, never from stored data.

    Returns
    -------
    Embedder

    Raises
    ------
    InvalidArgument
        The name is unknown, or the library does not have the model, or an option is none of the embedder.
    MissingExtra
        The library behind the name is not installed.
    """
    name, separator, model = spec.partition(":")
    if not separator:
        name, _, model = spec.partition("?")
        model = f"?{model}" if model else ""
    model, options = cut_options(model)
    name = ALIASES.get(name, name)
    if separator and not model:
        raise InvalidArgument(f"The embedder {name!r} has no model after the colon.")
    built_in = {**ADAPTERS, **_FOLDERS}
    if name not in built_in:
        return _load_foreign(name, model or None, options)
    module, adapter = built_in[name]
    found = getattr(import_module(f".{module}", __package__), adapter)
    embedder: Embedder[Any]
    if not options:
        embedder = found.from_spec(model or None)
    elif name == "wordllama":
        dim = {"dim": found.from_spec(model).dim} if model else {}
        embedder = found(**dim, **read_options(found, options, name))
    else:
        _check_model(found, name, model)
        embedder = found(*([model] if model else []), **read_options(found, options, name))
    return embedder


def _check_model(found: Any, name: str, model: str) -> None:
    """Refuse options without the model that an embedder takes, or with one where it takes none."""
    if name in _FOLDERS:
        raise InvalidArgument(f"The embedder {name!r} takes no options: its folder says all. Write {name}:FOLDER.")
    parameters = list(inspect.signature(found).parameters.values())
    takes_model = parameters[0].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    if takes_model != bool(model):
        found.from_spec(model or None)  # says what is wrong


def _load_foreign(name: str, model: str | None, options: dict[str, str]) -> Embedder[Any]:
    """Return the embedder of another package."""
    from importlib.metadata import entry_points

    from .base import Embedder

    points = entry_points(group=ENTRY_POINTS)
    found = {point.value: point for point in points if point.name == name}
    if not found:
        known = [*ADAPTERS, *ALIASES, *_FOLDERS, *(point.name for point in points)]
        raise InvalidArgument(f"There is no embedder {name!r}.{close_matches(name, known)}")
    if len(found) > 1:
        raise InvalidArgument(
            f"Several packages have an embedder {name!r}: {', '.join(sorted(found))}. Uninstall all but one."
        )
    made = next(iter(found.values())).load()(model, options)
    if not isinstance(made, Embedder):
        raise InvalidArgument(f"The package behind the embedder {name!r} made {type(made).__name__}, not an Embedder.")
    return made
