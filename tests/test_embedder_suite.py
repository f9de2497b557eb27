"""The shipped suite of embedders, on adapters that need no service, and what `load` takes."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from tests.embedder_makers import letters
from tests.test_vectorizers import MAKERS, TEXTS, made
from vecstore.embedders import Cached, Embedder, FunctionEmbedder, Retrying, Tfidf, WordLlamaEmbedder, load
from vecstore.errors import InvalidArgument
from vecstore.testing import EmbedderSuite


class TestFunction(EmbedderSuite):
    secrets = ("sk-hidden",)

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        class Client:
            key = "sk-hidden"

            def __call__(self, texts: list[str]) -> Any:
                return letters(texts)

            def __repr__(self) -> str:
                return self.key

        return lambda size: FunctionEmbedder(Client(), dim=16, name="letters", batch_size=size)


class TestWordLlama(EmbedderSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda size: WordLlamaEmbedder(batch_size=size)


class TestWrapped(EmbedderSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Embedder[Any]]:
        folder = tmp_path_factory.mktemp("cache")
        return lambda size: Cached(Retrying(WordLlamaEmbedder(64, batch_size=size)), folder)


class TestTfidf(EmbedderSuite):
    items = TEXTS

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda size: Tfidf(svd=4, batch_size=size).fit(TEXTS)


class TestCategorical(EmbedderSuite):
    items = MAKERS["categorical"][1]

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda _: made("categorical")[0]


class TestLoad:
    def test_a_folder_and_options(self, tmp_path: Path) -> None:
        Tfidf(svd=4).fit(TEXTS).save(tmp_path / "model")
        assert load(f"vectorizer:{tmp_path / 'model'}").config == Tfidf(svd=4).fit(TEXTS).config
        assert load("wordllama?normalize=false").config == WordLlamaEmbedder(normalize=False).config
        assert load("wordllama:64?normalize=0&batch_size=7").config == WordLlamaEmbedder(64, normalize=False).config

    @pytest.mark.parametrize(
        "spec, told",
        [
            ("wordllama?normalise=false", "Did you mean 'normalize'"), ("wordllama?device=cpu", "no option 'device'"),
            ("wordllama?normalize=perhaps", "cannot read"), ("wordllama?batch_size=x", "cannot read"),
            ("wordllama?normalize=1&normalize=0", "given twice"), ("wordllama?api_key=sk-1", "environment variable"),
            ("openai:m?token=sk-1", "environment variable"), ("vectorizer", "The folder is missing"),
            ("vectorizer:/nowhere", "no folder"), ("nothing?x=1", "There is no embedder"),
        ],
    )  # fmt: skip
    def test_what_cannot_be(self, spec: str, told: str) -> None:
        with pytest.raises(InvalidArgument, match=told) as caught:
            load(spec)
        assert "sk-1" not in str(caught.value)

    def test_an_embedder_of_another_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = [
            EntryPoint(name, f"tests.test_embedder_suite:{name}", "vecstore.embedders") for name in ("mine", "odd")
        ]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points if group == points[0].group else [])
        assert load("mine:soft?loud=1").name == "function:soft {'loud': '1'}"
        with pytest.raises(InvalidArgument, match="made str, not an Embedder"):
            load("odd")
        with pytest.raises(InvalidArgument, match="mine"):
            load("minne")


def mine(model: str | None, options: dict[str, str]) -> Embedder:
    return FunctionEmbedder(letters, dim=16, name=f"{model} {options}")


def odd(model: str | None, options: dict[str, str]) -> str:
    return "x"
