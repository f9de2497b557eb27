"""What is peculiar to wordllama and to sentence-transformers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.embedder_makers import MINILM, made
from vecstore.embedders import Embedder, Role, SentenceTransformersEmbedder, TruncatedText, WordLlamaEmbedder
from vecstore.embedders.wordllama import _load_installed
from vecstore.errors import EmbedderMismatch, InvalidArgument, InvalidMetadata
from vecstore.metric import Metric

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

LONG = "word " * 400
SENTENCES = ["A cat lies on the mat.", "A kitten sleeps on the rug.", "The stock market crashed."]


@cache
def minilm() -> SentenceTransformer:
    return minilm_with({})


def minilm_with(prompts: dict[str, str], default: str | None = None) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer  # takes seconds, which collecting tests should not

    model = SentenceTransformer(str(MINILM), device="cpu", prompts=prompts)
    if default is not None:
        # Made by the constructor, a model has an empty prompt per role, and its default is never asked for.
        model.prompts, model.default_prompt_name = {**prompts}, default
    return model


@pytest.mark.parametrize("name", ["minilm", "minilm-128", "wordllama", "wordllama-64-raw"])
def test_meaning_decides_what_is_near(name: str) -> None:
    cat, kitten, crash = made(name).embed_documents(SENTENCES)

    def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(cat, kitten) > 0.3
    assert cosine(cat, crash) < 0.1


class TestWordLlama:
    def test_vectors_are_those_of_the_library_bit_for_bit(self) -> None:
        model, _ = _load_installed()
        model.tokenizer.enable_padding()
        texts = [*SENTENCES, LONG, "Köln 東京 \U0001f600", "x"]
        expected = model.embed(texts)
        assert np.array_equal(WordLlamaEmbedder(normalize=False).embed_documents(texts), expected)
        assert np.array_equal(WordLlamaEmbedder(64, normalize=False).embed_queries(texts), expected[:, :64])

    def test_loads_without_a_network(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def refuse(*_: object) -> NoReturn:
            raise AssertionError("a connection was tried")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert WordLlamaEmbedder().embed_queries(["offline"]).shape == (1, 256)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("normalize", [True, False])
    def test_a_text_without_tokens_is_refused(self, *, normalize: bool) -> None:
        with pytest.raises(InvalidMetadata, match=r"documents\[1\] is an empty text"):
            WordLlamaEmbedder(normalize=normalize).embed_documents(["fine", ""])

    def test_unnormalized_norms_carry_information(self) -> None:
        norms = np.linalg.norm(made("wordllama-64-raw").embed_documents([*SENTENCES, "x"]), axis=1)
        assert norms.max() > 1.5 * norms.min()

    @pytest.mark.parametrize("dim", [0, 100, 512, "256", True])
    def test_other_dimensions_are_refused(self, dim: Any) -> None:
        with pytest.raises(InvalidArgument, match="64, 128, 256"):
            WordLlamaEmbedder(dim)

    def test_loading_leaves_the_logging_of_the_application_alone(self) -> None:
        program = (
            "import logging\n"
            "from vecstore.embedders import WordLlamaEmbedder\n"
            "WordLlamaEmbedder().embed_queries(['x'])\n"
            "print(logging.getLogger().handlers, logging.getLogger().level)"
        )
        assert run(program) == "[] 30"


class TestSentenceTransformers:
    @pytest.mark.parametrize("role", ["document", "query"])
    def test_vectors_are_those_of_the_library(self, role: Role) -> None:
        encode = minilm().encode_query if role == "query" else minilm().encode_document
        np.testing.assert_allclose(embed(made("minilm"), role), encode(SENTENCES), atol=1e-5)

    @pytest.mark.parametrize("role", ["document", "query"])
    @pytest.mark.parametrize(
        "prompts, default",
        [
            ({"query": "find: ", "document": "text: "}, None),
            ({"query": "find: ", "passage": "passage: "}, None),
            ({"sts": "compare: "}, "sts"),
        ],
    )
    def test_prompts_of_the_model_are_used_as_the_library_does(
        self, role: Role, prompts: dict[str, str], default: str | None
    ) -> None:
        model = minilm_with(prompts, default)
        encode = model.encode_query if role == "query" else model.encode_document
        np.testing.assert_allclose(embed(SentenceTransformersEmbedder(model), role), encode(SENTENCES), atol=1e-5)

    def test_given_prompts_replace_those_of_the_model(self) -> None:
        model = minilm_with({"query": "find: ", "web": "web search: "})
        off = SentenceTransformersEmbedder(model, prompts={"query": ""})
        named = SentenceTransformersEmbedder(model, prompt_names={"query": "web"})
        spelled = SentenceTransformersEmbedder(minilm(), prompts={"query": "web search: "})
        np.testing.assert_allclose(embed(off, "query"), minilm().encode(SENTENCES), atol=1e-5)
        np.testing.assert_allclose(embed(named, "query"), embed(spelled, "query"), atol=1e-5)
        assert off.config["prompts"] == {"document": "", "query": ""}
        assert named.config["prompts"] == {"document": "", "query": "web search: "}

    def test_a_prompt_is_part_of_the_identity(self) -> None:
        prompted = SentenceTransformersEmbedder(minilm(), prompts={"query": "query: "})
        with pytest.raises(EmbedderMismatch, match="different settings: prompts"):
            SentenceTransformersEmbedder(minilm()).identity.check(prompted, Metric.COSINE)

    @pytest.mark.parametrize(
        "options, match",
        [
            ({"prompts": {"querry": "x"}}, "Did you mean 'query'"),
            ({"prompts": {"query": 3}}, "is int, not str"),
            ({"prompts": {"query": "a"}, "prompt_names": {"query": "b"}}, "both as text and by name"),
            ({"device": "cpu"}, "Pass neither"),
            ({"revision": "main"}, "Pass neither"),
            ({"on_long": "chunk"}, "on_long"),
        ],
    )
    def test_options_that_cannot_work_are_refused(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(InvalidArgument, match=match):
            SentenceTransformersEmbedder(minilm(), **options)

    def test_an_unknown_prompt_name_is_refused_at_first_use(self) -> None:
        embedder = SentenceTransformersEmbedder(minilm(), prompt_names={"query": "querry"})
        with pytest.raises(InvalidArgument, match="no prompt 'querry'"):
            embedder.embed_queries(["x"])

    def test_the_config_says_what_decides_the_vectors(self) -> None:
        config = SentenceTransformersEmbedder(MINILM, truncate_dim=128, name="all-MiniLM-L6-v2").config
        assert config.pop("revision").startswith("sha256:")
        assert config == {
            "kind": "sentence-transformers",
            "model": "all-MiniLM-L6-v2",
            "dim": 128,
            "normalized": True,
            "truncate_dim": 128,
            "max_tokens": 256,
            "prompts": {"document": "", "query": ""},
        }

    def test_a_moved_directory_keeps_its_identity(self, tmp_path: Path) -> None:
        moved = shutil.copytree(MINILM, tmp_path / MINILM.name)
        assert SentenceTransformersEmbedder(moved).config == made("minilm").config

    def test_truncated_vectors_keep_their_direction_and_get_length_one(self) -> None:
        whole = made("minilm").embed_documents(SENTENCES)[:, :128]
        raw = SentenceTransformersEmbedder(minilm(), truncate_dim=128, normalize=False).embed_documents(SENTENCES)
        scaled = SentenceTransformersEmbedder(minilm(), truncate_dim=128).embed_documents(SENTENCES)
        np.testing.assert_allclose(raw, whole, atol=1e-5)
        assert np.linalg.norm(raw, axis=1).max() < 0.8
        np.testing.assert_allclose(scaled, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-5)

    def test_a_long_text_warns_once(self) -> None:
        embedder = SentenceTransformersEmbedder(minilm())
        with pytest.warns(TruncatedText, match=r"documents\[1\] is longer than the 256 tokens"):
            embedder.embed_documents(["short", LONG])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            embedder.embed_documents([LONG])
            embedder.embed_queries([LONG])

    @pytest.mark.parametrize("words, fits", [(254, True), (255, False)])
    def test_a_long_text_is_refused_where_that_is_asked_for(self, *, words: int, fits: bool) -> None:
        embedder = SentenceTransformersEmbedder(minilm(), on_long="error")
        text = " ".join(["cat"] * words)  # two more tokens mark the start and the end
        if fits:
            assert embedder.embed_documents([text]).shape == (1, 384)
        else:
            with pytest.raises(InvalidMetadata, match=r"queries\[0\] is longer than the 256 tokens"):
                embedder.embed_queries([text])

    def test_the_prompt_counts(self) -> None:
        embedder = SentenceTransformersEmbedder(minilm(), on_long="error", prompts={"query": "cat cat "})
        text = " ".join(["cat"] * 254)
        embedder.embed_documents([text])
        with pytest.raises(InvalidMetadata):
            embedder.embed_queries([text])

    def test_texts_that_look_like_media_stay_texts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from sentence_transformers import SentenceTransformer

        class SeesPictures(SentenceTransformer):
            modalities = ["text", "image"]  # noqa: RUF012

        model = SeesPictures(modules=list(minilm()))
        seen: list[Any] = []

        def encode_document(inputs: list[Any], **_: object) -> NDArray[np.float32]:
            seen.extend(inputs)
            return np.ones((len(inputs), 4), np.float32)

        monkeypatch.setattr(model, "encode_document", encode_document)
        SentenceTransformersEmbedder(model, name="pictures").embed_documents(["https://example.com/cat.jpg"])
        assert seen[-1] == {"text": "https://example.com/cat.jpg"}

    @pytest.mark.parametrize("model", ["./nowhere", "/nowhere/at/all", "~/nowhere", "", 3])
    def test_models_that_cannot_be_are_refused_at_once(self, model: Any) -> None:
        with pytest.raises(InvalidArgument):
            SentenceTransformersEmbedder(model)

    @pytest.mark.parametrize("model", ["nobody/nothing", "not a name"])
    def test_models_that_cannot_be_loaded_are_refused_at_first_use(self, model: str) -> None:
        embedder = SentenceTransformersEmbedder(model)
        with pytest.raises(InvalidArgument, match="cannot load"):
            _ = embedder.dim

    def test_a_directory_without_a_model_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidArgument, match="cannot load"):
            _ = SentenceTransformersEmbedder(tmp_path).dim


def embed(embedder: Embedder, role: Role) -> NDArray[np.float32]:
    return embedder.embed_queries(SENTENCES) if role == "query" else embedder.embed_documents(SENTENCES)


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
