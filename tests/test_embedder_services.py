"""Services against a server on this machine that speaks their protocols, and fails as they do."""

# Longer than 300 lines because all tests ask one server, whose fixture is here.
from __future__ import annotations

import gzip
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.embedding_service import CLASSES, DIM, KEY, Service, make, serve, speak, vector
from vecstore.embedders import (
    CohereEmbedder,
    OllamaEmbedder,
    OpenAIEmbedder,
    Retrying,
    ServiceClock,
    ServiceFailed,
    load,
)
from vecstore.embedders.ollama import _find_host
from vecstore.errors import DimensionMismatch, InvalidArgument, InvalidVector, MissingExtra, VecstoreError

TEXTS = ["tea", "a much longer text about the weather", "Köln 東京", "tea"]
NO_ANSWERS = [
    b"<html>", b"", b"[1]", b"{}", b"null", b'"x"', b'{"data": 3, "embeddings": 3}', b"[" * 100_000,
    b'{"data": [{"index": 0}], "embeddings": {"float": 1}}', b"\xff\xfe",
    b'{"data": [{"index": 0, "embedding": "!!!"}], "embeddings": [["1", "2"]]}',
]  # fmt: skip
KINDS = list(CLASSES)
WITH_KEY: dict[str, dict[str, str]] = {kind: {} for kind in KINDS} | {"ollama": {"key_variable": "OPENAI_API_KEY"}}


@pytest.fixture
def service() -> Iterator[Service]:
    with serve() as found:
        yield found


def assert_no_key(error: BaseException) -> None:
    """Look at what reports of errors show: the locals of all frames, and the errors behind an error."""
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "embed_documents" in shown
    assert KEY not in shown
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("kind", KINDS)
class TestEveryService:
    def test_vectors_are_in_the_order_of_the_texts(self, kind: str, service: Service) -> None:
        rows = make(kind, service).embed_documents(TEXTS)
        expected = np.array([vector(text) for text in TEXTS])
        np.testing.assert_allclose(rows, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
        raw = make(kind, service, normalize=False).embed_queries(TEXTS)
        np.testing.assert_allclose(raw, expected, rtol=1e-6)

    def test_requests_have_so_many_texts_and_tokens(self, kind: str, service: Service) -> None:
        embedder = make(kind, service, batch_size=3)
        embedder.embed_documents([f"text {number}" for number in range(8)])
        field_name = "texts" if kind == "cohere" else "input"
        assert [len(body[field_name]) for _, body, _ in service.requests if field_name in body][-3:] == [3, 3, 2]
        service.requests.clear()
        make(kind, service, batch_tokens=40).embed_documents(["word " * 20] * 3)
        assert [len(body[field_name]) for _, body, _ in service.requests if field_name in body][-3:] == [1, 1, 1]

    def test_a_status_says_what_to_do(self, kind: str, service: Service) -> None:
        embedder = make(kind, service)
        service.headers["Retry-After"] = "7"
        for status, retryable in ((401, False), (302, False), (204, False), (429, True), (503, True)):
            service.reply = lambda *_: (status, {"error": {"message": f"bad {KEY} in tea"}})  # noqa: B023 - called now
            with pytest.raises(ServiceFailed, match=rf"HTTP {status}") as caught:
                embedder.embed_documents(["tea"])
            assert caught.value.status == status
            assert caught.value.retryable is retryable
            assert caught.value.retry_after == (7 if retryable else None)
            assert KEY not in str(caught.value)

    def test_what_is_no_answer_is_refused(self, kind: str, service: Service) -> None:
        embedder = make(kind, service)
        for content in NO_ANSWERS:
            service.reply = lambda *_: (200, content)  # noqa: B023 - called now
            with pytest.raises(ServiceFailed):
                embedder.embed_documents(["tea"])

    @pytest.mark.parametrize(
        "rows, error",
        [
            ([[1.0] * DIM], (ServiceFailed, InvalidVector)),
            ([[1.0] * DIM] * 3, (ServiceFailed, InvalidVector)),
            ([[1.0] * DIM, [1.0]], (ServiceFailed, InvalidVector)),
            ([[1.0] * 3] * 2, DimensionMismatch),
            ([[1.0] * DIM, [float("nan")] * DIM], InvalidVector),
            ([[1.0] * DIM, [float("inf")] * DIM], InvalidVector),
            ([[0.0] * DIM] * 2, InvalidVector),
            ([[True] * DIM] * 2, ServiceFailed),
        ],
    )
    def test_vectors_that_nobody_can_use_are_refused(
        self, kind: str, service: Service, rows: list[list[Any]], error: Any
    ) -> None:
        embedder = make(kind, service)
        assert embedder.dim == DIM
        items = [{"index": index, "embedding": row} for index, row in enumerate(rows)]
        forms = {"cohere": {"embeddings": {"float": rows}}, "ollama": {"embeddings": rows}}
        service.reply = lambda *_: (200, forms.get(kind, {"data": items}))
        with pytest.raises(error) as caught:
            embedder.embed_documents(["tea", "water"])
        assert isinstance(caught.value, VecstoreError)
        assert "water" not in str(caught.value)

    def test_the_key_stands_nowhere(self, kind: str, service: Service) -> None:
        embedder = make(kind, service, **WITH_KEY[kind])
        embedder.embed_documents(["tea"])
        assert service.requests[-1][2] == f"Bearer {KEY}"
        shown = f"{embedder!r} {embedder} {embedder.config} {embedder.identity.to_json()} {vars(embedder)}"
        assert KEY not in shown
        assert service.url not in json.dumps(embedder.config)

    def test_another_instance_has_the_same_identity(self, kind: str, service: Service) -> None:
        assert make(kind, service).identity == make(kind, service, batch_size=2).identity

    def test_a_server_that_is_gone_can_be_asked_again(self, kind: str, service: Service) -> None:
        service.url = "http://127.0.0.1:9"  # discard: nobody listens
        with pytest.raises(ServiceFailed, match="cannot be reached") as caught:
            make(kind, service, **WITH_KEY[kind]).embed_documents(["tea"])
        assert caught.value.retryable
        assert_no_key(caught.value)

    def test_a_server_that_is_silent_can_be_asked_again(self, kind: str, service: Service) -> None:
        embedder = make(kind, service, timeout=0.05)
        release = threading.Event()

        def wait(path: str, body: dict[str, Any]) -> tuple[int, Any]:
            release.wait(10)
            return 200, {}

        service.reply = wait
        try:
            with pytest.raises(ServiceFailed, match=r"within 0\.05 seconds") as caught:
                embedder.embed_documents(["tea"])
        finally:
            release.set()
        assert caught.value.retryable

    def test_is_known_by_its_name(self, kind: str, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", service.url)
        monkeypatch.setenv("OLLAMA_HOST", service.url.removeprefix("http://"))
        assert load(f"{kind}:words").name == f"{kind}:words"
        with pytest.raises(InvalidArgument, match="model is missing"):
            load(kind)

    def test_a_missing_library_says_how_to_get_it(
        self, kind: str, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "httpx", None)
        with pytest.raises(MissingExtra, match=rf"vecstore-db\[{kind}\]"):
            make(kind, service)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrapper_repeats_what_may_succeed_and_nothing_else(kind: str, service: Service) -> None:
    expected = make(kind, service).embed_documents(["tea"])
    waits: list[float] = []
    failures = [429, 503]

    def fail_twice(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return (failures.pop(0), {}) if failures else (200, speak(path, body))

    service.headers["Retry-After"] = "3"
    embedder = Retrying(make(kind, service), clock=ServiceClock(sleep=waits.append, draw=lambda: 0.0))
    assert embedder.dim == DIM
    service.reply = fail_twice
    assert np.array_equal(embedder.embed_documents(["tea"]), expected)
    assert waits == [3.0, 3.0]
    failures[:] = [401]
    with pytest.raises(ServiceFailed, match="401"):
        embedder.embed_documents(["tea"])
    assert len(waits) == 2


class TestProtocols:
    def test_roles_reach_those_that_know_them(self, service: Service) -> None:
        for kind, expected in (("cohere", "search_query"), ("voyage", "query")):
            make(kind, service).embed_queries(["tea"])
            assert service.requests[-1][1]["input_type"] == expected

    @pytest.mark.parametrize("kind", ["ollama", "openai"])
    def test_prompts_reach_the_others(self, kind: str, service: Service) -> None:
        prompted = make(kind, service, prompts={"query": "find: "})
        assert np.array_equal(prompted.embed_queries(["tea"]), make(kind, service).embed_documents(["find: tea"]))
        assert prompted.config["prompts"] == {"document": "", "query": "find: "}

    def test_openai_sends_base64_where_it_is_asked_for(self, service: Service) -> None:
        rows = make("openai", service, base64=True).embed_documents(TEXTS)
        assert service.requests[-1][1]["encoding_format"] == "base64"
        np.testing.assert_allclose(rows, make("openai", service).embed_documents(TEXTS), atol=1e-6)

    @pytest.mark.parametrize(
        "kind, name", [("openai", "dimensions"), ("cohere", "output_dimension"), ("voyage", "output_dimension")]
    )
    def test_shorter_vectors_are_asked_for(self, kind: str, name: str, service: Service) -> None:
        make(kind, service, dimensions=DIM).embed_documents(["tea"])
        assert service.requests[-1][1][name] == DIM
        with pytest.raises(DimensionMismatch):
            make(kind, service, dimensions=4).embed_documents(["tea"])

    @pytest.mark.parametrize("indices", [[0, 0], [1, 2], [0, -1], [0, True], [0, "1"], [0]])
    def test_an_index_that_does_not_fit_is_refused(self, service: Service, indices: list[Any]) -> None:
        embedder = make("openai", service)
        assert embedder.dim == DIM
        items = [{"index": index, "embedding": [1.0] * DIM} for index in indices]
        service.reply = lambda *_: (200, {"data": items})
        with pytest.raises(ServiceFailed):
            embedder.embed_documents(["tea", "water"])

    def test_ollama_is_known_by_the_digest_of_its_model(self, service: Service) -> None:
        assert make("ollama", service).config["revision"] == "sha256:abc123"
        with pytest.raises(ServiceFailed, match="ollama pull other"):
            _ = OllamaEmbedder("other", url=service.url).config


class TestServers:
    def test_no_proxy_gets_what_is_for_this_machine(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, service.url)
        for variable in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(variable, raising=False)
        with pytest.raises(ServiceFailed, match="cannot be reached"):
            OpenAIEmbedder("words", url="http://127.0.0.1:9").embed_documents(["private"])
        assert service.requests == []
        # Others go through it, as the environment says.
        service.reply = lambda _, body: (200, speak("/embeddings", body))
        OpenAIEmbedder("words", url="http://example.com", key_variable=None).embed_documents(["tea"])
        assert service.requests[-1][2] is None

    @pytest.mark.parametrize("proxy", ["nonsense://u:p4ss@host", "socks5://u:p4ss@host:1"])
    def test_a_proxy_that_cannot_be_used_is_refused(self, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "socksio", None)
        monkeypatch.setenv("ALL_PROXY", proxy)
        with pytest.raises(InvalidArgument, match="proxy of the environment") as caught:
            OpenAIEmbedder("words", url="https://example.com", key_variable=None).embed_documents(["tea"])
        assert "p4ss" not in str(caught.value)

    @pytest.mark.parametrize("encoding", ["zstd", "br", "gzip, gzip"])
    def test_an_encoding_that_could_fill_the_memory_is_refused(self, service: Service, encoding: str) -> None:
        embedder = make("openai", service)
        service.reply = lambda path, body: (200, gzip.compress(json.dumps(speak("/embeddings", body)).encode()))
        service.headers["Content-Encoding"] = "gzip"
        assert embedder.embed_documents(["tea"]).shape == (1, DIM)
        service.headers["Content-Encoding"] = encoding
        with pytest.raises(ServiceFailed, match="not asked for"):
            embedder.embed_documents(["tea"])

    @pytest.mark.parametrize(
        "given, url",
        [
            ("", None), ("gpu-box", "http://gpu-box:11434/"), ("gpu-box:80", "http://gpu-box:80/"),
            ("0.0.0.0", "http://127.0.0.1:11434/"), (":11435", "http://127.0.0.1:11435/"),  # noqa: S104 - as users write it
            ("https://gpu-box", "https://gpu-box/"), ("http://0.0.0.0:99/x", "http://127.0.0.1:99/x"),
            ("::1", "http://[::1]:11434/"), ("[::]:9", "http://[::1]:9/"), ("'::'", "http://[::1]:11434/"),
        ],
    )  # fmt: skip
    def test_ollamas_variable_means_what_it_means_to_ollama(
        self, given: str, url: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OLLAMA_HOST", given)
        assert _find_host() == url
        OllamaEmbedder("words")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "host",
            "ftp://host",
            "https://",
            "https://u:p4ss@host",
            "https://host?key=p4ss",
            "http://[",
            "https://p4ss\0/",
            "https://p4ss host/",
            3,
        ],
    )
    def test_what_is_no_url_is_refused_without_being_shown(self, url: Any) -> None:
        with pytest.raises(InvalidArgument) as caught:
            CohereEmbedder("words", url=url)
        assert "p4ss" not in str(caught.value)

    def test_a_key_never_goes_out_unencrypted(self) -> None:
        with pytest.raises(InvalidArgument, match="unencrypted"):
            OpenAIEmbedder("words", url="http://example.com/v1")
        OpenAIEmbedder("words", url="http://example.com/v1", key_variable=None)
        OpenAIEmbedder("words", url="http://[::1]:8000/v1")

    @pytest.mark.parametrize("key", ["", "  ", "a\nb", "ключ"])
    def test_a_key_that_is_none_is_refused(self, service: Service, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(InvalidArgument, match="OPENAI_API_KEY"):
            make("openai", service).embed_documents(["tea"])
        assert service.requests == []

    def test_a_key_in_place_of_its_name_is_refused_and_not_shown(self, service: Service) -> None:
        with pytest.raises(InvalidArgument, match="name of an environment variable") as caught:
            make("openai", service, key_variable=KEY)
        assert KEY not in str(caught.value)

    @pytest.mark.parametrize(
        "option", [{"timeout": 0}, {"timeout": True}, {"batch_tokens": 0}, {"batch_size": 0}, {"prompts": {"x": "y"}}]
    )
    def test_options_that_cannot_work_are_refused(self, service: Service, option: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument, match=next(iter(option))):
            make("openai", service, **option)

    @pytest.mark.parametrize("model", ["", " ", 3, None])
    def test_a_model_has_a_name(self, service: Service, model: Any) -> None:
        with pytest.raises(InvalidArgument, match="model"):
            OpenAIEmbedder(model, url=service.url)

    def test_a_forked_process_has_connections_of_its_own(self, service: Service) -> None:
        embedder = make("openai", service)
        assert embedder.dim == DIM
        parent = embedder._client()  # type: ignore[attr-defined]
        assert embedder._clients == {os.getpid(): parent}  # type: ignore[attr-defined]
        embedder._clients = {-1: parent}  # type: ignore[attr-defined]
        assert embedder._client() is not parent  # type: ignore[attr-defined]
