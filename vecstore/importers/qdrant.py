"""Collections of Qdrant, of a server or in the directory of the client's local mode. It takes the extra ``qdrant``.

The client keeps the points of a directory as pickles and reads them itself: a directory from somebody else can run a
program. It gets a copy of the directory, because it writes into what it opens.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ..errors import BackendUnavailable, InvalidArgument, InvalidUrl, MissingExtra, Unsupported, close_matches
from ..metric import Metric
from ..urls import parse_query
from .directory_copy import check_directory, copy_directory
from .imported import Tally
from .payloads import lift, take_texts
from .source import Contents, ImportSource, Wish, choose_vectors
from .source_rows import SourceRows

_METRICS: Mapping[str, Metric] = MappingProxyType({"Cosine": Metric.COSINE, "Dot": Metric.IP, "Euclid": Metric.L2})
_MOST = 1_000
"""Points in one answer of a server."""


@dataclass(frozen=True)
class QdrantCollection(ImportSource):
    """A collection of Qdrant.

    Parameters
    ----------
    place : str or path
        The URL of a server, ``http://host:6333``, with ``?api_key=…`` where it needs one; or a directory.
    name : str
        The collection.
    vector : str, optional
        Which of several named vectors; by default the only one.
    id : str, optional
        The key of the payload that holds the ids; by default Qdrant's own, numbers or UUIDs, as texts.
    text : str, optional
        The key of the payload that holds the texts; langchain-qdrant calls it ``page_content``.
    metadata : str, optional
        The key of an object in the payload whose keys become keys of metadata; in langchain-qdrant ``metadata``.
    """

    place: str | os.PathLike[str] = field(repr=False)
    name: str
    vector: str | None = None
    id: str | None = None
    text: str | None = None
    metadata: str | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"Qdrant collection {self.name!a}"

    @contextmanager
    def open(self, wish: Wish, tally: Tally) -> Iterator[Contents]:
        """Connect, or open a copy of the directory."""
        with _connect(os.fspath(self.place)) as client:
            names = [each.name for each in client.get_collections().collections]
            if self.name not in names:
                raise InvalidArgument(f"Qdrant has no collection {self.name[:60]!a}.{close_matches(self.name, names)}")
            vectors = client.get_collection(self.name).config.params.vectors
            named = dict(vectors) if isinstance(vectors, Mapping) else {"": vectors} if vectors is not None else {}
            chosen = choose_vectors(self.title, self.vector, named, "no dense vectors")
            settings = named[chosen]
            if settings.multivector_config is not None:
                raise Unsupported("several vectors for one record", "vecstore", "Choose another one: vector='…'.")
            distance = str(getattr(settings.distance, "value", settings.distance))
            if distance not in _METRICS:
                raise Unsupported(f"the metric {distance}", "vecstore", "It has: cosine, ip, l2.")
            for other in sorted(named.keys() - {chosen}):
                tally.note(f"The vectors {other!a} are left out.")
            if _METRICS[distance] is Metric.COSINE:
                tally.note("Qdrant has scaled the vectors to length 1, which changes no cosine.")
            datatype = str(getattr(settings.datatype, "value", settings.datatype))
            yield Contents(
                settings.size,
                _METRICS[distance],
                client.count(self.name, exact=True).count,
                lambda rows: self._read(client, chosen, rows),
                "float16" if datatype == "float16" else "float32",
            )

    def _read(self, client: Any, chosen: str, rows: int) -> Iterator[SourceRows]:
        following = None
        while True:
            points, following = client.scroll(
                self.name, limit=min(rows, _MOST), offset=following, with_payload=True,
                with_vectors=[chosen] if chosen else True,
            )  # fmt: skip
            if points:
                texts, rest = take_texts([point.payload for point in points], self.text)
                payloads = lift(rest, self.metadata)
                ids = [
                    payload.get(self.id) if self.id else point.id
                    for point, payload in zip(points, payloads, strict=True)
                ]
                nested = [{key: value for key, value in each.items() if key != self.id} for each in payloads]
                vectors = [
                    point.vector.get(chosen) if isinstance(point.vector, dict) else point.vector for point in points
                ]
                yield SourceRows(ids, vectors, texts, {}, nested)
            if following is None:
                return


@contextmanager
def _connect(place: str) -> Iterator[Any]:
    try:
        import qdrant_client
    except ModuleNotFoundError as error:
        raise MissingExtra("qdrant_client", "qdrant") from error
    if "://" not in place:
        directory = check_directory(place, "meta.json", "directory of Qdrant's client")
        with copy_directory(directory, "storage.sqlite", frozenset({".lock"})) as copied, warnings.catch_warnings():
            # It advises to run a server from 20,000 points on.
            warnings.filterwarnings("ignore", category=UserWarning)
            client = qdrant_client.QdrantClient(path=str(copied))
            try:
                yield client
            finally:
                client.close()
        return
    parts = urlsplit(place)
    parameters = parse_query(parts.query)
    if parts.scheme not in {"http", "https"} or parameters.keys() - {"api_key"}:
        raise InvalidUrl(
            "A Qdrant server is http://host:6333 or https://host:6333, with ?api_key=… where it needs one."
        )
    from qdrant_client.http.exceptions import ApiException, ResponseHandlingException

    client = qdrant_client.QdrantClient(
        url=parts._replace(query="").geturl(), api_key=parameters.get("api_key"), check_compatibility=False
    )
    try:
        yield client
    except (ApiException, ResponseHandlingException) as error:
        raise BackendUnavailable(
            "The Qdrant server cannot be reached, or it refused the request. Check the URL and its api_key."
        ) from error
    finally:
        client.close()
