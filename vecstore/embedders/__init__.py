"""Embedders turn texts, and items of other kinds, into vectors. A library has one module, imported when first named."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .adapters import load
from .adapters import make_absolute as make_absolute  # for loads, which may know no adapter

if TYPE_CHECKING:
    from .base import Embedder, Role
    from .clip import ClipEmbedder
    from .cohere import CohereEmbedder
    from .efficientnet import load_efficientnet
    from .fastembed_model import FastEmbedEmbedder
    from .function import FunctionEmbedder
    from .identity import Identity
    from .long_texts import TruncatedText
    from .mfcc import MfccEmbedder
    from .model2vec import Model2VecEmbedder
    from .morgan import MorganEmbedder
    from .ollama import OllamaEmbedder
    from .onnx_export import ExportedModel, FidelityTooLow, export_onnx
    from .onnx_model import OnnxEmbedder
    from .openai_compatible import OpenAIEmbedder
    from .sentence_transformers import SentenceTransformersEmbedder
    from .series_shape import SeriesEmbedder, cut_windows
    from .service_answers import ServiceFailed
    from .torch_module import TorchEmbedder
    from .universal_sentence_encoder import UniversalSentenceEncoderEmbedder
    from .vectorizers.bag_of_words import BagOfWords
    from .vectorizers.categorical import Categorical
    from .vectorizers.graph_nodes import learn_nodes
    from .vectorizers.hashing import Hashing
    from .vectorizers.lookup_table import Lookup
    from .vectorizers.one_hot import OneHot
    from .vectorizers.paragraph_vectors import Doc2Vec
    from .vectorizers.recurrent_series import SeriesAutoencoder
    from .vectorizers.tfidf import Tfidf
    from .vectorizers.vectorizer import Vectorizer
    from .vectorizers.word_vectors import WordVectors
    from .voice import VoiceEmbedder
    from .voyage import VoyageEmbedder
    from .wordllama import WordLlamaEmbedder
    from .wrappers.cached import Cached
    from .wrappers.rate_limited import RateLimited
    from .wrappers.retrying import Retrying
    from .wrappers.waiting import ServiceClock

__all__ = [
    "BagOfWords",
    "Cached",
    "Categorical",
    "ClipEmbedder",
    "CohereEmbedder",
    "Doc2Vec",
    "Embedder",
    "ExportedModel",
    "FastEmbedEmbedder",
    "FidelityTooLow",
    "FunctionEmbedder",
    "Hashing",
    "Identity",
    "Lookup",
    "MfccEmbedder",
    "Model2VecEmbedder",
    "MorganEmbedder",
    "OllamaEmbedder",
    "OneHot",
    "OnnxEmbedder",
    "OpenAIEmbedder",
    "RateLimited",
    "Retrying",
    "Role",
    "SentenceTransformersEmbedder",
    "SeriesAutoencoder",
    "SeriesEmbedder",
    "ServiceClock",
    "ServiceFailed",
    "Tfidf",
    "TorchEmbedder",
    "TruncatedText",
    "UniversalSentenceEncoderEmbedder",
    "Vectorizer",
    "VoiceEmbedder",
    "VoyageEmbedder",
    "WordLlamaEmbedder",
    "WordVectors",
    "cut_windows",
    "export_onnx",
    "learn_nodes",
    "load",
    "load_efficientnet",
]

_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "BagOfWords": "vectorizers.bag_of_words",
        "Cached": "wrappers.cached",
        "Categorical": "vectorizers.categorical",
        "ClipEmbedder": "clip",
        "CohereEmbedder": "cohere",
        "Doc2Vec": "vectorizers.paragraph_vectors",
        "Embedder": "base",
        "ExportedModel": "onnx_export",
        "FastEmbedEmbedder": "fastembed_model",
        "FidelityTooLow": "onnx_export",
        "FunctionEmbedder": "function",
        "Hashing": "vectorizers.hashing",
        "Identity": "identity",
        "Lookup": "vectorizers.lookup_table",
        "MfccEmbedder": "mfcc",
        "Model2VecEmbedder": "model2vec",
        "MorganEmbedder": "morgan",
        "OllamaEmbedder": "ollama",
        "OneHot": "vectorizers.one_hot",
        "OnnxEmbedder": "onnx_model",
        "OpenAIEmbedder": "openai_compatible",
        "RateLimited": "wrappers.rate_limited",
        "Retrying": "wrappers.retrying",
        "Role": "base",
        "SentenceTransformersEmbedder": "sentence_transformers",
        "SeriesAutoencoder": "vectorizers.recurrent_series",
        "SeriesEmbedder": "series_shape",
        "ServiceClock": "wrappers.waiting",
        "ServiceFailed": "service_answers",
        "Tfidf": "vectorizers.tfidf",
        "TorchEmbedder": "torch_module",
        "TruncatedText": "long_texts",
        "UniversalSentenceEncoderEmbedder": "universal_sentence_encoder",
        "Vectorizer": "vectorizers.vectorizer",
        "VoiceEmbedder": "voice",
        "VoyageEmbedder": "voyage",
        "WordLlamaEmbedder": "wordllama",
        "WordVectors": "vectorizers.word_vectors",
        "cut_windows": "series_shape",
        "export_onnx": "onnx_export",
        "learn_nodes": "vectorizers.graph_nodes",
        "load_efficientnet": "efficientnet",
    }
)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
