"""Services that speak OpenAI's protocol of embeddings: OpenAI itself, vLLM, llama.cpp, LM Studio, TEI and others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .base import Role
from .service import ServiceAddress, ServiceEmbedder
from .service_answers import order_by_index

_URL = "https://api.openai.com/v1"


class OpenAIEmbedder(ServiceEmbedder):
    """Embed by ``POST {url}/embeddings``.

    Parameters
    ----------
    model : str
    url : str, optional
        Default: ``OPENAI_BASE_URL`` of the environment, or OpenAI's own.
    key_variable : str or None
        Name of the environment variable with the key. It is read for each request, and its value stands in no message,
        repr or store. None sends no key.
    dimensions : int, optional
        Ask the service for vectors of that length, if the model can shorten them.
    base64 : bool
        Ask for vectors as base64, which is a quarter of the size. Some servers do not know it; answers are read in both
        forms.
    prompts : mapping, optional
        Text put before every ``"document"`` and every ``"query"``.
    normalize : bool
        Scale every vector to length 1.
    batch_size, batch_tokens : int
        At most this many texts, and about this many tokens, in a request.
    timeout : float
        Seconds.

    Raises
    ------
    MissingExtra
        httpx is not installed.
    """

    kind = "openai"

    def __init__(
        self,
        model: str,
        *,
        url: str | None = None,
        key_variable: str | None = "OPENAI_API_KEY",
        dimensions: int | None = None,
        base64: bool = False,
        prompts: Mapping[Role, str] | None = None,
        normalize: bool = True,
        batch_size: int = 256,
        batch_tokens: int = 100_000,
        timeout: float = 60,
    ) -> None:
        server = ServiceAddress.check(url or os.environ.get("OPENAI_BASE_URL") or _URL, key_variable, timeout)
        super().__init__(
            model, server=server, dimensions=dimensions, prompts=prompts, normalize=normalize,
            batch_size=batch_size, batch_tokens=batch_tokens,
        )  # fmt: skip
        self._base64 = base64

    def _build(self, texts: list[str], role: Role) -> tuple[str, dict[str, Any]]:
        encoding = "base64" if self._base64 else "float"
        body = {"model": self._model, "input": texts, "encoding_format": encoding}
        return "/embeddings", {**body, **self._shorten("dimensions")}

    def _read(self, answer: Mapping[str, Any], count: int) -> Any:
        return order_by_index(answer["data"], count)
