"""The contract of embedders on every adapter that has no file of its own for it.

Fastembed, molecules, series, sounds, pictures, voices, CLIP and EfficientNet inherit the suite where their items are
made. What takes seconds to import or to load is long.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests import embedder_makers, embedding_service, test_vectorizers
from tests.embedder_makers import letters, tiny_model
from tests.test_graph_nodes import learn
from vecstore import embedders
from vecstore.embedders import (
    BagOfWords,
    Embedder,
    FunctionEmbedder,
    Hashing,
    OneHot,
    RateLimited,
    Retrying,
    SentenceTransformersEmbedder,
    Tfidf,
    WordVectors,
)
from vecstore.testing import EmbedderSuite

Make = Callable[[int], Embedder[Any]]
TEXTS = test_vectorizers.TEXTS


def suite_of(make_one: Make, items: Sequence[Any] = EmbedderSuite.items) -> type[EmbedderSuite]:
    """Return the tests of one adapter."""

    class Suite(EmbedderSuite):
        @pytest.fixture(scope="class")
        @classmethod
        def make(cls) -> Make:
            return make_one

    Suite.items = items
    return Suite


def named(name: str) -> Make:
    return lambda size: embedder_makers.MAKERS[name](size)


class ServiceSuite(EmbedderSuite):
    """A service that speaks its protocol on this machine; no key of it is shown anywhere."""

    secrets = (embedding_service.KEY,)
    kind: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Iterator[Make]:
        with embedding_service.serve() as service:
            yield lambda size: embedding_service.make(cls.kind, service, batch_size=size)


class TestCohere(ServiceSuite):
    """`CohereEmbedder`."""

    kind = "cohere"


class TestOllama(ServiceSuite):
    """`OllamaEmbedder`."""

    kind = "ollama"


class TestOpenAI(ServiceSuite):
    """`OpenAIEmbedder`."""

    kind = "openai"


class TestVoyage(ServiceSuite):
    """`VoyageEmbedder`."""

    kind = "voyage"


TestFunctionOfTwoRoles = suite_of(named("function-normalized"))
TestWordLlamaRaw = suite_of(named("wordllama-64-raw"))
TestBagOfWords = suite_of(lambda size: BagOfWords(batch_size=size).fit(TEXTS), TEXTS)
TestBagOfChars = suite_of(
    lambda size: BagOfWords(analyzer="char", ngrams=(2, 3), max_terms=100, batch_size=size).fit(TEXTS), TEXTS
)
TestTfidf = suite_of(lambda size: Tfidf(sublinear=True, batch_size=size).fit(TEXTS), TEXTS)
TestHashing = suite_of(lambda size: Hashing(64, ngrams=(1, 2), batch_size=size), TEXTS)
TestOneHot = suite_of(lambda size: OneHot(batch_size=size).fit(["x", "y", 3]), ["x", "y", 3])
TestLookup = suite_of(lambda _: test_vectorizers.table(), ["a", "b", 7])
TestWordVectorsGiven = suite_of(lambda _: test_vectorizers.words(), TEXTS)
TestDoc2Vec = suite_of(lambda _: test_vectorizers.made("doc2vec")[0], TEXTS)
TestGru = suite_of(lambda _: test_vectorizers.made("gru")[0], test_vectorizers.SERIES)
TestLstm = suite_of(lambda _: test_vectorizers.made("lstm")[0], test_vectorizers.SERIES)
TestRetrying = suite_of(lambda size: Retrying(FunctionEmbedder(letters, dim=16, name="letters", batch_size=size)))
TestRateLimited = suite_of(
    lambda size: RateLimited(
        FunctionEmbedder(letters, dim=16, name="letters", batch_size=size),
        requests_per_minute=10_000_000, tokens_per_minute=100_000_000, concurrency=2,
    )
)  # fmt: skip
TestModel2Vec = suite_of(named("model2vec"), ("tea", "The cat sat", "stock and tea , the line"))


class TestSaved(EmbedderSuite):
    """A vectoriser as it comes back from its folder."""

    items = TEXTS

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, tmp_path_factory: pytest.TempPathFactory) -> Make:
        folder = tmp_path_factory.mktemp("saved") / "model"
        Tfidf(ngrams=(1, 2)).fit(TEXTS).save(folder)
        return lambda _: embedders.load(f"vectorizer:{folder}")


TestMiniLM = pytest.mark.long(suite_of(named("minilm")))
TestMiniLMCut = pytest.mark.long(suite_of(named("minilm-128")))
TestMean = pytest.mark.long(
    suite_of(
        lambda size: SentenceTransformersEmbedder(
            tiny_model().load_model(), name="tiny", batch_size=size, on_long="mean"
        ),
        ("tea", "The cat sat on the mat.", "a longer text about the weather " * 30),
    )
)
TestUniversal = pytest.mark.long(suite_of(named("use")))
TestOnnx = pytest.mark.long(suite_of(named("onnx")))
TestOnnxInt8 = pytest.mark.long(suite_of(named("onnx-int8")))
TestNodes = pytest.mark.long(suite_of(lambda _: learn(seed=1), ["left 1", "left 2", 3]))


def learn_words(size: int) -> WordVectors:
    return WordVectors(12, buckets=100, min_count=1, epochs=1, batch_size=size).fit(TEXTS, seed=1)


TestWordVectorsLearned = pytest.mark.long(suite_of(learn_words, TEXTS))


def test_every_adapter_passes_the_suite() -> None:
    """Look for each class where the suite is inherited: nobody adds one and forgets the suite."""
    here = Path(__file__).parent
    files = [path for path in here.glob("test_*.py") if "EmbedderSuite" in path.read_text("utf-8")]
    made_in = ("embedder_makers", "embedding_service", "test_embedder_torch", "test_graph_nodes", "test_vectorizers")
    files += [here / f"{name}.py" for name in made_in]
    called = "\n".join(path.read_text("utf-8") for path in files)
    classes = [getattr(embedders, name) for name in embedders.__all__]
    adapters = [each for each in classes if isinstance(each, type) and issubclass(each, Embedder)]
    adapters = [each for each in adapters if not inspect.isabstract(each)]
    assert len(adapters) > 20
    assert [each.__name__ for each in adapters if not re.search(rf"\b{each.__name__}\b", called)] == []
