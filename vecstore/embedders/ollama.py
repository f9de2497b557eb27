"""Models that an Ollama server runs."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any

from .base import Role
from .service import ServiceAddress, ServiceEmbedder
from .service_answers import ServiceFailed, read_vector

_URL = "http://127.0.0.1:11434"


class OllamaEmbedder(ServiceEmbedder):
    """Embed by ``POST {url}/api/embed``. The digest of the model is a part of its identity.

    Parameters
    ----------
    model : str
        Such as ``"nomic-embed-text"``; without a tag it is the one called ``latest``.
    url : str, optional
        Default: ``OLLAMA_HOST`` of the environment, read as Ollama reads it, or port 11434 of this machine.
    key_variable : str, optional
        Name of the environment variable with a key, for a server behind a proxy that wants one.
    truncate : bool
        Let the server cut what is longer than the model reads. Otherwise it refuses such a text.
    prompts : mapping, optional
        Text put before every ``"document"`` and every ``"query"``; many models want some.
    normalize : bool
        Scale every vector to length 1.
    batch_size, batch_tokens : int
        At most this many texts, and about this many tokens, in a request.
    timeout : float
        Seconds. The first request loads the model.

    Raises
    ------
    MissingExtra
        httpx is not installed.
    """

    kind = "ollama"

    def __init__(
        self,
        model: str,
        *,
        url: str | None = None,
        key_variable: str | None = None,
        truncate: bool = False,
        prompts: Mapping[Role, str] | None = None,
        normalize: bool = True,
        batch_size: int = 64,
        batch_tokens: int = 50_000,
        timeout: float = 300,
    ) -> None:
        server = ServiceAddress.check(url or _find_host() or _URL, key_variable, timeout)
        super().__init__(
            model, server=server, truncate=truncate, prompts=prompts, normalize=normalize, batch_size=batch_size,
            batch_tokens=batch_tokens,
        )  # fmt: skip
        self._digest: str | None = None

    def _build(self, texts: list[str], role: Role) -> tuple[str, dict[str, Any]]:
        return "/api/embed", {"model": self._model, "input": texts, "truncate": self._truncate}

    def _read(self, answer: Mapping[str, Any], count: int) -> Any:
        return [read_vector(vector) for vector in answer["embeddings"]]

    def _details(self) -> Mapping[str, Any]:
        with self._lock:
            if self._digest is None:
                self._digest = self._find_digest()
        return {**super()._details(), "revision": self._digest}

    def _find_digest(self) -> str:
        answer = self._call("GET", "/api/tags")
        name = self._model if ":" in self._model else f"{self._model}:latest"
        models = answer.get("models")
        for each in models if isinstance(models, list) else ():
            if isinstance(each, dict) and each.get("name") == name and isinstance(each.get("digest"), str):
                return f"sha256:{each['digest'].removeprefix('sha256:')}"
        raise ServiceFailed(
            f"{self.name!r}: the server does not have the model. Fetch it with: ollama pull {self._model}"
        )


def _find_host() -> str | None:
    """Return the URL that ``OLLAMA_HOST`` means: host, port and scheme may each be missing."""
    given = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'")
    if not given:
        return None
    scheme, separator, place = given.rpartition("://")
    place, _, path = place.partition("/")
    host, port = _cut_port(place)
    # The server takes the same variable as the address that it listens on.
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - nobody listens
    if not port and not separator:
        port = "11434"
    return f"{scheme or 'http'}://{host}{port and ':'}{port}/{path}"


def _cut_port(place: str) -> tuple[str, str]:
    try:
        return f"[{ipaddress.IPv6Address(place.strip('[]'))}]", ""
    except ValueError:
        host, _, port = place.rpartition(":")
        return (host, port) if ":" in place else (place, "")
