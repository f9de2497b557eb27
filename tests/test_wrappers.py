"""Wrappers: the same identity, repetitions and pace on a clock of the test, nothing sleeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.embedder_makers import letters, made
from vecstore.embedders import (
    Cached,
    Doc2Vec,
    Embedder,
    FunctionEmbedder,
    OneHot,
    RateLimited,
    Retrying,
    SeriesAutoencoder,
    ServiceClock,
    Tfidf,
    WordLlamaEmbedder,
    WordVectors,
)
from vecstore.embedders.wrappers.waiting import read_retry_after
from vecstore.errors import BackendUnavailable, EmbedderMismatch, InvalidArgument, NotFitted, UnknownItem
from vecstore.metric import Metric

WALL = 1_800_000_000.0


@dataclass
class Time:
    """A clock that moves when somebody sleeps."""

    passed: float = 0.0
    slept: list[float] = field(default_factory=list)
    chance: float = 0.5

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds

    @property
    def clock(self) -> ServiceClock:
        return ServiceClock(lambda: self.passed, lambda: WALL + self.passed, self.sleep, lambda: self.chance)


Wrap = Callable[[Embedder[Any], Path], Embedder[Any]]
WRAPPERS: dict[str, Wrap] = {
    "retrying": lambda inner, _: Retrying(inner),
    "rate-limited": lambda inner, _: RateLimited(inner, concurrency=1),
    "cached": Cached,
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_what_a_vectoriser_refuses_is_refused_around_it_too(wrap: Wrap, tmp_path: Path) -> None:
    known = wrap(OneHot().fit(["x", "y"]), tmp_path)
    for embed in (known.embed_documents, known.embed_queries):
        with pytest.raises(UnknownItem, match=r"\[1\]: 'one-hot:own' does not know the item"):
            embed(["x", "z"])
    skipping = wrap(OneHot(on_unknown="skip").fit(["x", "y"]), tmp_path)
    assert np.isnan(skipping.embed_documents(["x", "z"])).all(axis=1).tolist() == [False, True]
    for unfitted in (OneHot(), Tfidf(), WordVectors(4), Doc2Vec(4), SeriesAutoencoder(4)):
        with pytest.raises(NotFitted):
            wrap(unfitted, tmp_path).embed_documents(
                [np.sin(np.arange(9.0))] if unfitted.modality == "series" else ["x"]
            )


class Response:
    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status_code, self.headers = status, headers


class Refused(Exception):
    """As httpx and requests raise it."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(f"status {status}")
        self.response = Response(status, {name.replace("_", "-"): value for name, value in headers.items()})


class Flaky:
    """Fails as it is told, then answers."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.calls: list[int] = []

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        self.calls.append(len(texts))
        if self.failures:
            raise self.failures.pop(0)
        return letters(texts)


def embedder(function: Flaky, **options: Any) -> Embedder:
    return FunctionEmbedder(function, dim=16, name="letters", **options)


@pytest.mark.parametrize("name", ["function", "function-normalized", "wordllama", "wordllama-64-raw"])
def test_a_wrapper_has_the_identity_and_the_vectors_of_what_is_in_it(name: str, tmp_path: Any) -> None:
    inner = made(name)
    texts = ["tea", "a cat on a mat", "東京"]
    for wrapped in (
        Retrying(inner), RateLimited(inner, concurrency=2), Cached(inner, tmp_path), Cached(Retrying(inner), tmp_path),
    ):  # fmt: skip
        assert wrapped.config == inner.config
        assert wrapped.name == inner.name
        assert wrapped.dim == inner.dim
        assert inner.identity.check(wrapped, Metric.L2) is None
        for _ in range(2):
            np.testing.assert_allclose(wrapped.embed_documents(texts), inner.embed_documents(texts), atol=1e-6)
            np.testing.assert_allclose(wrapped.embed_queries(texts), inner.embed_queries(texts), atol=1e-6)


def test_a_tolerance_is_known_after_the_model_is_loaded(tmp_path: Any) -> None:
    class Quantized(Embedder):
        def _encode(self, items: list[str], role: Any, /) -> NDArray[np.float32]:
            self.min_cosine = 0.98
            return letters(items)

        def _details(self) -> dict[str, Any]:
            return {"revision": "sha256:1"}

    def make() -> Embedder:
        return Quantized(kind="toy", model="int8", normalize=False)

    for wrapped in (Retrying(make()), Retrying(RateLimited(make(), concurrency=1)), Cached(Retrying(make()), tmp_path)):
        assert wrapped.config == make().config
        assert wrapped.identity.config["min_cosine"] == 0.98


def test_what_is_no_embedder(tmp_path: Any) -> None:
    wrong: Any = "wordllama"
    makers: list[Any] = [Retrying, lambda each: RateLimited(each, concurrency=1), lambda each: Cached(each, tmp_path)]
    for make in makers:
        with pytest.raises(InvalidArgument, match="takes an Embedder, not str"):
            make(wrong)
    with pytest.raises(InvalidArgument, match=r"Cached\(Retrying\("):
        Retrying(Cached(made("function"), tmp_path))
    Retrying(RateLimited(made("function"), concurrency=1))
    for inner in (Retrying(made("function")), RateLimited(made("function"), concurrency=1)):
        repeated = inner if isinstance(inner, Retrying) else Retrying(inner)
        with pytest.raises(InvalidArgument, match=r"in this order: Retrying\(RateLimited\("):
            RateLimited(repeated, concurrency=1)


class TestRetrying:
    @pytest.mark.parametrize(
        "failure",
        [
            Refused(429), Refused(500), Refused(503), Refused(408), TimeoutError(), ConnectionResetError(),
            BackendUnavailable("away"), type("ReadTimeout", (type("TimeoutException", (Exception,), {}),), {})(),
        ],
        ids=repr,
    )  # fmt: skip
    def test_what_may_pass_is_repeated(self, failure: BaseException) -> None:
        time, flaky = Time(), Flaky(failure, failure)
        found = Retrying(embedder(flaky), clock=time.clock).embed_documents(["tea", "milk"])
        assert np.array_equal(found, letters(["tea", "milk"]))
        assert flaky.calls == [2, 2, 2]
        assert time.slept == [0.5, 1.0]

    @pytest.mark.parametrize(
        "failure", [Refused(400), Refused(401), Refused(404), ValueError("x"), KeyError("x")], ids=repr
    )
    def test_what_will_not_pass_is_not(self, failure: BaseException) -> None:
        time, flaky = Time(), Flaky(failure)
        with pytest.raises(type(failure)):
            Retrying(embedder(flaky), clock=time.clock).embed_queries(["tea"])
        assert (flaky.calls, time.slept) == ([1], [])

    def test_only_the_batch_that_failed_is_repeated(self) -> None:
        flaky = Flaky()
        retrying = Retrying(embedder(flaky, batch_size=2), clock=Time().clock)
        retrying.embed_documents(["a", "b"])
        flaky.failures = [Refused(500)]
        retrying.embed_documents(["c", "d", "e"])
        assert flaky.calls == [2, 2, 2, 1]

    def test_waits_grow_are_bounded_and_drawn(self) -> None:
        for chance, slept in ((1.0, [1, 2, 4, 5, 5]), (0.0, [0] * 5)):
            time = Time(chance=chance)
            with pytest.raises(Refused):
                Retrying(embedder(Flaky(*[Refused(500)] * 9)), longest_wait=5, clock=time.clock).embed_queries(["tea"])
            assert time.slept == slept

    @pytest.mark.parametrize("after", ["7", "7.0", formatdate(WALL + 7, usegmt=True)])
    def test_the_service_says_when(self, after: str) -> None:
        time = Time()
        Retrying(embedder(Flaky(Refused(429, Retry_After=after))), clock=time.clock).embed_queries(["tea"])
        assert time.slept == [7.5]

    @pytest.mark.parametrize("after, status", [("3600", 429), (formatdate(WALL + 3600, usegmt=True), 503)])
    def test_it_does_not_wait_beyond_its_budget(self, after: str, status: int) -> None:
        time, flaky = Time(), Flaky(Refused(status, retry_after=after))
        with pytest.raises(Refused) as caught:
            Retrying(embedder(flaky), budget=60, clock=time.clock).embed_queries(["tea"])
        assert (flaky.calls, time.slept) == ([1], [])
        assert "given up after 1 attempts" in caught.value.__notes__[0]

    @pytest.mark.parametrize(
        "value, seconds",
        [("5", 5), (" 5 ", 5), (5, 5), ("0", 0), ("-5", None), ("soon", None), ("", None), (None, None), ([], None),
         ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("Wed, 99 Oct", None), ("٣", None), ("1e9", None)],
    )  # fmt: skip
    def test_forms_of_retry_after(self, value: object, seconds: float | None) -> None:
        assert read_retry_after(value, WALL) == seconds

    @pytest.mark.parametrize(
        "options", [{"attempts": 0}, {"budget": -1}, {"first_wait": "1"}, {"longest_wait": np.nan}]
    )
    def test_options_that_cannot_work(self, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument):
            Retrying(made("function"), **options)


class TestRateLimited:
    def test_requests_are_spread_over_the_minute(self) -> None:
        time, flaky = Time(), Flaky()
        limited = RateLimited(embedder(flaky, batch_size=1), requests_per_minute=30, clock=time.clock)
        limited.embed_documents(["a", "b", "c"])
        assert time.slept == [2, 2]
        time.passed += 100
        limited.embed_documents(["d"])
        assert time.slept == [2, 2]

    def test_tokens_cost_time(self) -> None:
        time = Time()
        limited = RateLimited(embedder(Flaky(), batch_size=1), tokens_per_minute=60, clock=time.clock)
        limited.embed_documents(["x" * 40, "y" * 400, "z"])  # about 10 and 100 tokens; the shortest is sent first
        assert time.slept == [1, 10]

    def test_no_more_calls_at_a_time_than_allowed(self) -> None:
        import threading

        running, most, lock = 0, 0, threading.Lock()
        both = threading.Barrier(2)

        def work(texts: list[str]) -> NDArray[np.float32]:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            both.wait(30)  # two are inside at the same time
            with lock:
                running -= 1
            return letters(texts)

        limited = RateLimited(FunctionEmbedder(work, dim=16, name="x"), concurrency=2)
        threads = [threading.Thread(target=limited.embed_queries, args=(["tea"],)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert most == 2

    @pytest.mark.parametrize(
        "options", [{}, {"concurrency": 0}, {"requests_per_minute": 0}, {"tokens_per_minute": 1.5}]
    )
    def test_options_that_cannot_work(self, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument):
            RateLimited(made("function"), **options)


def test_a_changed_model_is_seen_through_the_cache(tmp_path: Any) -> None:
    before = Cached(made("function"), tmp_path)
    before.embed_documents(["tea"])
    turned = FunctionEmbedder(lambda texts: np.roll(letters(texts), 3, axis=1), dim=16, name="letters")
    after = Cached(turned, tmp_path)
    assert np.array_equal(after.embed_documents(["tea"]), turned.embed_documents(["tea"]))
    with pytest.raises(EmbedderMismatch):
        before.identity.check(after, Metric.COSINE)
    assert np.array_equal(Cached(made("function"), tmp_path).embed_documents(["tea"]), letters(["tea"]))
    assert WordLlamaEmbedder().name not in repr(after)
