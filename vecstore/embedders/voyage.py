"""Models of Voyage AI, and of servers that speak its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import Role
from .service import ServiceAddress, ServiceEmbedder
from .service_answers import order_by_index


class VoyageEmbedder(ServiceEmbedder):
    """Embed by ``POST {url}/embeddings``, with the input type of documents or of queries.

    Parameters
    ----------
    model : str
        Such as ``"voyage-3.5"``.
    url : str
    key_variable : str or None
        Name of the environment variable with the key, which is read for each request.
    dimensions : int, optional
        Ask for vectors of that length, if the model can shorten them.
    truncate : bool
        Let the service cut the end of what is longer than the model reads. Otherwise it refuses such a text.
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

    kind = "voyage"

    def __init__(
        self,
        model: str,
        *,
        url: str = "https://api.voyageai.com/v1",
        key_variable: str | None = "VOYAGE_API_KEY",
        dimensions: int | None = None,
        truncate: bool = False,
        normalize: bool = True,
        batch_size: int = 256,
        batch_tokens: int = 100_000,
        timeout: float = 60,
    ) -> None:
        super().__init__(
            model, server=ServiceAddress.check(url, key_variable, timeout), dimensions=dimensions, truncate=truncate,
            normalize=normalize, batch_size=batch_size, batch_tokens=batch_tokens,
        )  # fmt: skip

    def _build(self, texts: list[str], role: Role) -> tuple[str, dict[str, Any]]:
        body = {
            "model": self._model,
            "input": texts,
            "input_type": role,
            "truncation": self._truncate,
            "encoding_format": "base64",
        }
        return "/embeddings", {**body, **self._shorten("output_dimension")}

    def _read(self, answer: Mapping[str, Any], count: int) -> Any:
        return order_by_index(answer["data"], count)

    def _details(self) -> Mapping[str, Any]:
        return {"input_types": {"document": "document", "query": "query"}}
