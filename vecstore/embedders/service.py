"""Embedding services over HTTP: what all of them share. Keys are read from the environment and stand nowhere else."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from .base import Embedder, Role, check_whole
from .service_answers import ServiceFailed, explain_status, read_retry_after
from .vector_checks import Float32Array

if TYPE_CHECKING:
    import httpx

_MAX_ANSWER = 256 * 2**20
"""Bytes of an answer. A service that sends more is broken, and would fill the memory."""


@dataclass(frozen=True)
class ServiceAddress:
    """Where a service is, and how it is spoken to.

    Parameters
    ----------
    url : str
        Without user, password, query or fragment.
    key_variable : str, optional
        Name of the environment variable with the key; it is read for each request.
    timeout : float
        Seconds for a connection, and between two parts of an answer.
    """

    url: str
    key_variable: str | None
    timeout: float

    @classmethod
    def check(cls, url: object, key_variable: object, timeout: object) -> ServiceAddress:
        """Return a checked address, or raise `InvalidArgument`, whose message has no part of the URL but its host."""
        if not isinstance(url, str):
            raise InvalidArgument(f"url must be a str, not {type(url).__name__}.")
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise InvalidArgument("url is not a URL.") from error
        if parts.scheme not in ("http", "https") or not host:
            raise InvalidArgument("url must begin with http:// or https:// and have a host.")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise InvalidArgument("url must have no user, password, query or fragment. Keys come from the environment.")
        if key_variable is not None and (not isinstance(key_variable, str) or not key_variable.isidentifier()):
            raise InvalidArgument("key_variable must be the name of an environment variable, not the key.")
        if parts.scheme == "http" and key_variable is not None and not _is_here(host):
            raise InvalidArgument(
                f"A key would go to {host} unencrypted. Use https, or key_variable=None without a key."
            )
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 86_400:
            raise InvalidArgument(f"timeout must be a number of seconds, not {timeout!r}.")
        return cls(url.rstrip("/"), key_variable, float(timeout))

    def find_headers(self) -> dict[str, str]:
        """Return the headers of a request, the key among them."""
        if self.key_variable is None:
            return {}
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise InvalidArgument(
                f"The environment variable {self.key_variable} with the key of the service is not set."
            )
        if not key.isascii() or not key.isprintable():
            raise InvalidArgument(f"The key in {self.key_variable} has characters that no key has.")
        return {"Authorization": f"Bearer {key}"}


class ServiceEmbedder(Embedder):
    """Embed by a service over HTTP. An adapter says what it sends and how the answer is read.

    Failures are `ServiceFailed`, with what a wrapper needs to repeat them; nothing is repeated here.
    """

    extra = "openai"

    def __init__(
        self,
        model: str,
        *,
        kind: str,
        server: ServiceAddress,
        dim: int | None,
        prompts: Mapping[Role, str] | None,
        normalize: bool,
        batch_size: int,
        batch_tokens: int,
    ) -> None:
        if importlib.util.find_spec("httpx") is None:
            raise MissingExtra("httpx", self.extra)
        if not isinstance(model, str) or not model.strip():
            raise InvalidArgument("model must be the name that the service has for it.")
        self._prompts = dict(prompts or {})
        if any(role not in ("document", "query") or not isinstance(text, str) for role, text in self._prompts.items()):
            raise InvalidArgument("prompts has a text for 'document' and for 'query', and nothing else.")
        super().__init__(kind=kind, model=model, dim=dim, normalize=normalize, batch_size=batch_size)
        self._server = server
        self._batch_tokens = check_whole("batch_tokens", batch_tokens)
        self._clients: dict[int, httpx.Client] = {}

    @abstractmethod
    def _build(self, texts: list[str], role: Role) -> tuple[str, dict[str, Any]]:
        """Return the path and the body of a request."""

    @abstractmethod
    def _read(self, answer: Mapping[str, Any], count: int) -> Any:
        """Return the vectors in an answer, in the order of the texts. An answer in another form may raise any error."""

    def _details(self) -> Mapping[str, Any]:
        return {"prompts": {"document": "", "query": ""} | self._prompts}

    def _encode(self, texts: list[str], role: Role, /) -> Float32Array:
        prompt = self._prompts.get(role, "")
        parts = [self._request([prompt + text for text in part], role) for part in self._cut(texts)]
        return np.concatenate(parts)

    def _cut(self, texts: list[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        tokens = 0
        for text in texts:
            count = _estimate_tokens(text)
            if batch and tokens + count > self._batch_tokens:
                yield batch
                batch, tokens = [], 0
            batch.append(text)
            tokens += count
        yield batch

    def _request(self, texts: list[str], role: Role) -> Float32Array:
        path, body = self._build(texts, role)
        answer = self._call("POST", path, body)
        try:
            rows = np.asarray(self._read(answer, len(texts)), np.float32)
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            # From None: the library's errors would show parts of the answer.
            raise ServiceFailed(
                f"{self.name!r} answered in a form that is not its protocol ({type(error).__name__})."
            ) from None
        if rows.ndim != 2 or len(rows) != len(texts):
            raise ServiceFailed(f"{self.name!r} answered with vectors of shape {rows.shape} for {len(texts)} texts.")
        return rows

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        import httpx

        headers = self._server.find_headers()
        try:
            with self._client().stream(method, self._server.url + path, json=body, headers=headers) as response:
                content = self._receive(response)
                status, waits = response.status_code, read_retry_after(response.headers.get("Retry-After"))
        except httpx.TimeoutException as error:
            message = f"{self.name!r} did not answer within {self._server.timeout:g} seconds."
            raise ServiceFailed(message, retryable=True) from error
        except httpx.HTTPError as error:
            raise ServiceFailed(f"{self.name!r} cannot be reached: {type(error).__name__}.", retryable=True) from error
        if status != 200:
            raise explain_status(self.name, status, self._server.key_variable, waits)
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise ServiceFailed(f"{self.name!r} did not answer with JSON.", retryable=True) from None
        if not isinstance(answer, dict):
            raise ServiceFailed(f"{self.name!r} did not answer with a JSON object.")
        return answer

    def _receive(self, response: httpx.Response) -> bytes:
        content = bytearray()
        for part in response.iter_bytes():
            content += part
            if len(content) > _MAX_ANSWER:
                raise ServiceFailed(f"{self.name!r} sent more than {_MAX_ANSWER:,} bytes.")
        return bytes(content)

    def _client(self) -> httpx.Client:
        import httpx

        with self._lock:
            # A forked process would share the parent's connections, and read the parent's answers.
            if os.getpid() not in self._clients:
                self._clients = {os.getpid(): httpx.Client(timeout=self._server.timeout, follow_redirects=False)}
            return self._clients[os.getpid()]


def _estimate_tokens(text: str) -> int:
    """Return more tokens than a text has, for nearly all texts: three bytes of UTF-8 are at most one."""
    return len(text.encode()) // 3 + 2


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
