"""Models of Voyage AI, and of servers that speak its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidArgument
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

    extra = "voyage"

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
            model, kind="voyage", server=ServiceAddress.check(url, key_variable, timeout), dim=dimensions, prompts=None,
            normalize=normalize, batch_size=batch_size, batch_tokens=batch_tokens,
        )  # fmt: skip
        self._dimensions = dimensions
        self._truncate = truncate

    @classmethod
    def from_spec(cls, model: str | None) -> VoyageEmbedder:
        """Build from the part after the colon of ``voyage:MODEL``."""
        if model is None:
            raise InvalidArgument("The model is missing. Write voyage:MODEL.")
        return cls(model)

    def _policies(self) -> Mapping[str, Any]:
        return {**super()._policies(), "truncate": self._truncate}

    def _build(self, texts: list[str], role: Role) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self._model,
            "input": texts,
            "input_type": role,
            "truncation": self._truncate,
            "encoding_format": "base64",
        }
        if self._dimensions is not None:
            body["output_dimension"] = self._dimensions
        return "/embeddings", body

    def _read(self, answer: Mapping[str, Any], count: int) -> Any:
        return order_by_index(answer["data"], count)

    def _details(self) -> Mapping[str, Any]:
        return {"input_types": {"document": "document", "query": "query"}}
