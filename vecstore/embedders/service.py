"""Embedding services over HTTP: what all of them share. Keys are read from the environment and stand nowhere else."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

import numpy as np

from ..errors import InvalidArgument, MissingExtra, VecstoreError
from .base import Embedder, Role, check_whole
from .service_answers import ServiceFailed, explain_status, read_retry_after
from .vector_checks import Float32Array

if TYPE_CHECKING:
    import httpx

_MAX_ANSWER = 256 * 2**20
"""Bytes of an answer. A service that sends more is broken, and would fill the memory."""
_ENCODINGS = ("", "identity", "gzip")
"""How an answer may be encoded. Others make gigabytes of a few kilobytes before anything can be counted."""
_HEADERS: Mapping[str, str] = MappingProxyType({"Accept-Encoding": "gzip, identity"})


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
        if not url.isprintable() or " " in url:
            raise InvalidArgument("url has a space or a control character, which no URL has.")
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
                f"A key would go to {host} unencrypted. Use https, or key_variable=None without a key (as a name: "
                "openai:MODEL?key_variable=)."
            )
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 86_400:
            raise InvalidArgument(f"timeout must be a number of seconds, not {timeout!r}.")
        return cls(url.rstrip("/"), key_variable, float(timeout))

    @property
    def is_here(self) -> bool:
        """Whether the service runs on this machine."""
        return _is_here(urlsplit(self.url).hostname or "")

    def check_key(self) -> None:
        """Refuse to go on if there is no key where one is to be sent.

        Raises
        ------
        InvalidArgument
        """
        # No local holds the key, here and below, because reports of errors often show locals.
        if self.key_variable is None:
            return
        if not self._read_key():
            raise InvalidArgument(
                f"The environment variable {self.key_variable} with the key of the service is not set."
            )
        if not self._read_key().isascii() or not self._read_key().isprintable():
            raise InvalidArgument(f"The key in {self.key_variable} has characters that no key has.")

    def sign(self, request: httpx.Request) -> httpx.Request:
        """Put the key into a request."""
        if self.key_variable is not None:
            request.headers["Authorization"] = f"Bearer {self._read_key()}"
        return request

    def _read_key(self) -> str:
        return os.environ.get(self.key_variable or "", "").strip()


class ServiceEmbedder(Embedder):
    """Embed by a service over HTTP. An adapter says what it sends and how the answer is read.

    Failures are `ServiceFailed`, with what a wrapper needs to repeat them; nothing is repeated here.

    Attributes
    ----------
    kind : str
        The name of the adapter on the command line, which is that of its extra too.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        model: str,
        *,
        server: ServiceAddress,
        dimensions: int | None = None,
        truncate: bool | None = None,
        prompts: Mapping[Role, str] | None = None,
        normalize: bool,
        batch_size: int,
        batch_tokens: int,
    ) -> None:
        if importlib.util.find_spec("httpx") is None:
            raise MissingExtra("httpx", self.kind)
        if not isinstance(model, str) or not model.strip():
            raise InvalidArgument("model must be the name that the service has for it.")
        self._prompts = dict(prompts or {})
        if any(role not in ("document", "query") or not isinstance(text, str) for role, text in self._prompts.items()):
            raise InvalidArgument("prompts has a text for 'document' and for 'query', and nothing else.")
        super().__init__(kind=self.kind, model=model, dim=dimensions, normalize=normalize, batch_size=batch_size)
        self._dimensions = dimensions
        self._truncate = truncate
        self._server = server
        self._batch_tokens = check_whole("batch_tokens", batch_tokens)
        self._clients: dict[int, httpx.Client] = {}

    @classmethod
    def from_spec(cls, model: str | None) -> Self:
        """Build from the part after the colon of ``NAME:MODEL``."""
        if model is None:
            raise InvalidArgument(f"The model is missing. Write {cls.kind}:MODEL.")
        return cls(model)  # type: ignore[call-arg]  # the adapters have defaults for the rest

    @abstractmethod
    def _build(self, texts: list[str], role: Role) -> tuple[str, dict[str, Any]]:
        """Return the path and the body of a request."""

    @abstractmethod
    def _read(self, answer: Mapping[str, Any], count: int) -> Any:
        """Return the vectors in an answer, in the order of the texts. An answer in another form may raise any error."""

    def _details(self) -> Mapping[str, Any]:
        return {"prompts": {"document": "", "query": ""} | self._prompts}

    def _policies(self) -> Mapping[str, Any]:
        cuts = {} if self._truncate is None else {"truncate": self._truncate}
        return {**super()._policies(), **cuts}

    def _shorten(self, option: str) -> dict[str, int]:
        """Return what a request says of the length of vectors, under the name that the service has for it."""
        return {} if self._dimensions is None else {option: self._dimensions}

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
        self._server.check_key()
        found = self._exchange(method, path, body)
        if isinstance(found, VecstoreError):
            # Raised where no error is handled: those of httpx hold the request, and the request holds the key.
            raise found
        status, waits, content = found
        if status != 200:
            raise explain_status(self.name, status, self._server.key_variable, waits)
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise ServiceFailed(f"{self.name!r} did not answer with JSON.", retryable=True) from None
        if not isinstance(answer, dict):
            raise ServiceFailed(f"{self.name!r} did not answer with a JSON object.")
        return answer

    def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, float | None, bytes] | VecstoreError:
        import httpx

        try:
            with self._client().stream(
                method, self._server.url + path, json=body, headers=_HEADERS, auth=self._server.sign
            ) as response:
                waits = read_retry_after(response.headers.get("Retry-After"))
                return response.status_code, waits, self._receive(response)
        except ServiceFailed as error:
            return error.with_traceback(None)
        except httpx.TimeoutException:
            message = f"{self.name!r} did not answer within {self._server.timeout:g} seconds."
            return ServiceFailed(message, retryable=True)
        except httpx.HTTPError as error:
            return ServiceFailed(f"{self.name!r} cannot be reached: {type(error).__name__}.", retryable=True)
        except httpx.InvalidURL:
            return InvalidArgument(f"The url of {self.name!r} is not one that httpx takes.")

    def _receive(self, response: httpx.Response) -> bytes:
        if response.headers.get("Content-Encoding", "").lower() not in _ENCODINGS:
            raise ServiceFailed(f"{self.name!r} answered in an encoding that was not asked for.")
        content = bytearray()
        for part in response.iter_bytes():
            content += part
            if len(content) > _MAX_ANSWER:
                raise ServiceFailed(f"{self.name!r} sent more than {_MAX_ANSWER:,} bytes.")
        return bytes(content)

    def _client(self) -> httpx.Client:
        with self._lock:
            # A forked process would share the parent's connections, and read the parent's answers.
            if os.getpid() not in self._clients:
                self._clients = {os.getpid(): _connect(self._server)}
            return self._clients[os.getpid()]


def _connect(server: ServiceAddress) -> httpx.Client:
    import httpx

    # A proxy of the environment would get what is meant for this machine, the key in clear text with it.
    try:
        return httpx.Client(
            timeout=server.timeout,
            follow_redirects=False,
            trust_env=not server.is_here,
            verify=httpx.create_ssl_context(),
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        # From None, because the URL of a proxy may have a password.
        raise InvalidArgument(
            f"The proxy of the environment cannot be used ({type(error).__name__}). Set HTTPS_PROXY and ALL_PROXY to "
            "an http:// URL, or install httpx[socks] for one with socks5://."
        ) from None


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
