"""The contract of `Embedder`, on every adapter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from tests.embedder_makers import MAKERS, letters, made
from vecstore.embedders import Embedder, FunctionEmbedder, Identity, Role
from vecstore.errors import DimensionMismatch, InvalidArgument, InvalidMetadata, InvalidVector
from vecstore.metric import Metric

TEXTS = [
    "a much longer sentence about the weather in the mountains, with rain in the afternoon and snow above 2,000 m",
    "tea",
    "The cat sat on the mat.",
    "Köln am Rhein, 東京, привет",
    "tea",
    "line one\nline two\ttabbed",
    "https://example.com/cat.jpg",
    "stock markets crashed today",
]
NORMALIZED = ["function-normalized", "minilm", "minilm-128", "model2vec", "onnx", "onnx-int8", "use", "wordllama"]


@pytest.fixture(params=list(MAKERS), scope="module")
def name(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture(scope="module")
def embedder(name: str) -> Embedder:
    return made(name)


class Recorder(Embedder):
    """Gives what it is told to, and remembers what it was asked."""

    def __init__(
        self,
        answer: ArrayLike | None = None,
        *,
        dim: int | None = None,
        normalize: bool = False,
        truncate_dim: int | None = None,
        batch_size: int = 32,
        allow_zero: bool = False,
    ) -> None:
        super().__init__(
            kind="test",
            model="recorder",
            dim=dim,
            normalize=normalize,
            truncate_dim=truncate_dim,
            batch_size=batch_size,
            allow_zero=allow_zero,
        )
        self.answer = answer
        self.calls: list[tuple[list[str], Role]] = []

    def _encode(self, texts: list[str], role: Role) -> ArrayLike:
        self.calls.append((texts, role))
        return [[len(text), 1] for text in texts] if self.answer is None else self.answer


def test_vectors_are_float32_finite_and_of_the_promised_shape(embedder: Embedder) -> None:
    for vectors in (embedder.embed_documents(TEXTS), embedder.embed_queries(TEXTS)):
        assert vectors.shape == (len(TEXTS), embedder.dim)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        assert np.linalg.norm(vectors, axis=1).min() > 0


@pytest.mark.parametrize("adapter", NORMALIZED)
def test_normalized_vectors_have_length_one(adapter: str) -> None:
    for vectors in (made(adapter).embed_documents(TEXTS), made(adapter).embed_queries(TEXTS)):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    for vectors in (embedder.embed_documents([]), embedder.embed_queries([])):
        assert vectors.shape == (0, embedder.dim)
        assert vectors.dtype == np.float32


def test_rows_are_in_the_order_of_the_texts(embedder: Embedder) -> None:
    together = embedder.embed_documents(TEXTS)
    alone = np.concatenate([embedder.embed_documents([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(embedder.embed_documents(TEXTS[::-1]), together[::-1], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_size_changes_no_vector(name: str, batch_size: int) -> None:
    other = MAKERS[name](batch_size)
    np.testing.assert_allclose(other.embed_documents(TEXTS), made(name).embed_documents(TEXTS), atol=1e-5)
    assert other.config == made(name).config


def test_the_config_is_json_and_names_the_model(embedder: Embedder) -> None:
    config = embedder.config
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    assert f"{config['kind']}:{config['model']}" == embedder.name
    assert config["dim"] == embedder.dim
    assert not {"device", "batch_size", "on_long"} & set(config)


def test_another_instance_has_the_same_identity(name: str) -> None:
    stored = Identity.from_json(json.loads(json.dumps(made(name).identity.to_json())))
    another = MAKERS[name](1)
    assert [stored.check(another, metric) for metric in Metric] == [None, None, None]


def test_the_repr_names_the_model(embedder: Embedder) -> None:
    assert repr(embedder) == f"<{type(embedder).__name__} {embedder.name!r}>"


def test_threads_may_share_an_embedder(name: str) -> None:
    fresh = MAKERS[name](2)
    batches = [TEXTS[: 1 + number % len(TEXTS)] for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(fresh.embed_documents, batches))
    expected = made(name).embed_documents(TEXTS)
    for vectors in answers:
        np.testing.assert_allclose(vectors, expected[: len(vectors)], atol=1e-5)


def test_progress_is_reported_after_each_batch(name: str) -> None:
    seen: list[tuple[int, int]] = []
    MAKERS[name](3).embed_documents(TEXTS, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 8), (6, 8), (8, 8)]


def test_a_generator_of_texts_is_read_once(embedder: Embedder) -> None:
    def texts() -> Iterator[str]:
        yield from TEXTS

    np.testing.assert_array_equal(embedder.embed_documents(texts()), embedder.embed_documents(TEXTS))


@pytest.mark.parametrize("texts", ["one text", ["fine", None], ["fine", b"bytes"], [3]])
def test_what_is_no_list_of_str_is_refused(embedder: Embedder, texts: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"str"):
        embedder.embed_documents(texts)


def test_a_lone_surrogate_is_refused_by_position(embedder: Embedder) -> None:
    with pytest.raises(InvalidMetadata, match=r"^queries\[1\] has a lone surrogate at position 6"):
        embedder.embed_queries(["fine", "secret\ud800"])


def test_roles_reach_the_model() -> None:
    recorder = Recorder()
    recorder.embed_documents(["d"])
    recorder.embed_queries(["q"])
    assert recorder.calls[-2:] == [(["d"], "document"), (["q"], "query")]


def test_batches_hold_texts_of_similar_length() -> None:
    recorder = Recorder(dim=2, batch_size=2)
    vectors = recorder.embed_documents(["ccc", "a", "dddd", "bb"])
    assert [texts for texts, _ in recorder.calls] == [["a", "bb"], ["ccc", "dddd"]]
    assert vectors[:, 0].tolist() == [3, 1, 4, 2]


def test_no_texts_never_reach_a_model_of_known_dimension() -> None:
    recorder = Recorder(dim=2)
    assert recorder.embed_queries([]).shape == (0, 2)
    assert recorder.calls == []


@pytest.mark.parametrize(
    "answer, error",
    [
        ([[1.0, np.nan]], InvalidVector),
        ([[1.0, np.inf]], InvalidVector),
        (np.array([[1e300, 1.0]]), InvalidVector),
        ([[0.0, 0.0]], InvalidVector),
        ([[1.0, 2.0], [3.0, 4.0]], InvalidVector),
        ([1.0, 2.0], InvalidVector),
        (np.empty((1, 0)), InvalidVector),
        ([["a", "b"]], InvalidVector),
        ([[1.0, 2.0, 3.0]], DimensionMismatch),
    ],
)
@pytest.mark.parametrize("normalize", [True, False])
def test_unusable_answers_are_refused(answer: ArrayLike, error: type[InvalidVector], *, normalize: bool) -> None:
    with pytest.raises(error, match="'test:recorder'") as caught:
        Recorder(answer, dim=2, normalize=normalize).embed_documents(["confidential"])
    assert "confidential" not in str(caught.value)


def test_errors_name_the_position_or_what_the_caller_calls_it() -> None:
    recorder = Recorder([[1, 0], [0, 0], [1, 1]], dim=2)
    with pytest.raises(InvalidVector, match=r"documents\[2\]: .* zeros"):
        recorder.embed_documents(["a", "ccc", "bb"])
    with pytest.raises(InvalidVector, match=r"record 'z': .* zeros"):
        recorder.embed_documents(["a", "ccc", "bb"], label=lambda position: f"record {'xyz'[position]!r}")


def test_zero_vectors_pass_only_where_they_are_allowed() -> None:
    assert Recorder([[0, 0]], dim=2, allow_zero=True).embed_queries(["x"]).tolist() == [[0, 0]]
    with pytest.raises(InvalidArgument, match="allow_zero"):
        Recorder(dim=2, allow_zero=True, normalize=True)


def test_huge_and_tiny_vectors_are_normalized_without_overflow() -> None:
    vectors = Recorder([[3e38, 3e38], [1e-38, 0]], dim=2, normalize=True).embed_documents(["a", "b"])
    np.testing.assert_allclose(vectors, [[0.5**0.5, 0.5**0.5], [1, 0]], rtol=1e-6)


def test_truncated_vectors_are_normalized_again() -> None:
    recorder = Recorder([[0.6, 0.0, 0.8]], normalize=True, truncate_dim=2)
    assert recorder.dim == 2
    assert recorder.embed_documents(["x"]).tolist() == [[1, 0]]


def test_truncation_to_more_than_there_is_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="truncate_dim=5"):
        _ = Recorder(truncate_dim=5).dim


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"batch_size": True}, {"dim": 0}, {"truncate_dim": 1.5}])
def test_options_out_of_range_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(option))):
        Recorder(**option)


def test_what_a_function_raises_reaches_the_caller() -> None:
    def broken(texts: list[str]) -> NDArray[np.float32]:
        raise ConnectionError("the service is away")

    with pytest.raises(ConnectionError, match="away"):
        FunctionEmbedder(broken, dim=2, name="remote").embed_queries(["x"])


def test_a_function_may_have_its_own_way_with_queries() -> None:
    embedder = made("function-normalized")
    assert not np.allclose(embedder.embed_documents(TEXTS), embedder.embed_queries(TEXTS))


def test_a_function_needs_a_name_and_shows_no_more_than_that() -> None:
    with pytest.raises(InvalidArgument, match="name"):
        FunctionEmbedder(letters, dim=16, name="")

    class Client:
        api_key = "sk-secret"

        def __call__(self, texts: list[str]) -> NDArray[np.float32]:
            return letters(texts)

        def __repr__(self) -> str:
            return f"Client({self.api_key})"

    embedder = FunctionEmbedder(Client(), dim=16, name="letters")
    assert "sk-secret" not in f"{embedder!r} {embedder} {embedder.config} {embedder.identity.to_json()}"
