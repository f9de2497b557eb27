"""An embedding service for tests: a server that speaks the protocols of all of them, or what a test says."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from vecstore.embedders import CohereEmbedder, Embedder, OllamaEmbedder, OpenAIEmbedder, VoyageEmbedder

DIM = 8
KEY = "sk-very-secret-1234"
CLASSES: dict[str, Callable[..., Embedder]] = {
    "cohere": CohereEmbedder,
    "ollama": OllamaEmbedder,
    "openai": OpenAIEmbedder,
    "voyage": VoyageEmbedder,
}


def vector(text: str) -> list[float]:
    numbers = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)[:DIM]
    return [float(number) + 1 for number in numbers]


@dataclass
class Service:
    """What the server does: answer as a protocol says, or as ``reply`` does."""

    url: str = ""
    requests: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    reply: Callable[[str, dict[str, Any]], tuple[int, Any]] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/api/tags":
            return 200, {"models": [{"name": "words:latest", "digest": "abc123"}]}
        if self.reply is not None:
            return self.reply(path, body)
        return 200, speak(path, body)


def speak(path: str, body: dict[str, Any]) -> Any:
    if path == "/api/embed":
        return {"embeddings": [vector(text) for text in body["input"]]}
    if path == "/v2/embed":
        return {"embeddings": {"float": [vector(text) for text in body["texts"]]}}
    assert path == "/embeddings"
    rows: list[dict[str, Any]] = []
    for index, text in enumerate(body["input"]):
        numbers: Any = vector(text)
        if body.get("encoding_format") == "base64":
            numbers = base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()
        rows.append({"index": index, "embedding": numbers})
    return {"data": rows[::-1]}  # in another order, which the index tells


class Handler(BaseHTTPRequestHandler):
    service: Service

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self.service.requests.append((self.path, body, self.headers.get("Authorization")))
        status, content = self.service.answer(self.path, body)
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(raw)), **self.service.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def serve() -> Iterator[Service]:
    """Run a service on this machine, with its key in the environment."""
    found = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"service": found}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with pytest.MonkeyPatch.context() as patched:
            for variable in ("OPENAI_API_KEY", "COHERE_API_KEY", "VOYAGE_API_KEY"):
                patched.setenv(variable, KEY)
            yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make(kind: str, service: Service, **options: Any) -> Embedder:
    return CLASSES[kind]("words", url=service.url, **options)
