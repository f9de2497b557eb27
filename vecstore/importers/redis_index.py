"""Indexes of Redis' query engine, as redisvl and langchain-redis make them: hashes or JSON documents under a prefix."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any

from ..errors import InvalidArgument, InvalidUrl, MissingExtra, Unsupported, close_matches
from ..metric import Metric
from ..urls import parse_url
from .imported import Tally
from .payloads import Payload, take_texts
from .redis_reading import WIRE, HashReader, IndexAttribute, IndexLayout, JsonReader, KeyReader, decode
from .source import Contents, ImportSource, Wish, choose_vectors
from .source_rows import SourceRows

_METRICS: Mapping[str, Metric] = MappingProxyType({"COSINE": Metric.COSINE, "IP": Metric.IP, "L2": Metric.L2})
_DTYPES: Mapping[str, str] = MappingProxyType({"FLOAT16": "float16"})
_LANGCHAIN = "_metadata_json"
"""Where langchain-redis keeps the metadata as they were; its other fields are copies, lists joined to one text."""
_BESIDE = frozenset({"_index_name"})


@dataclass(frozen=True)
class RedisIndex(ImportSource):
    """An index of Redis' query engine, and the hashes or JSON documents that it covers.

    Parameters
    ----------
    place : str
        The URL of the server: ``redis://user:password@host:6379/0``.
    name : str
        The index.
    id : str, optional
        The field of the ids; by default what follows the prefix in each key.
    vector : str, optional
        The field of the vectors; by default the only one.
    text : str, optional
        The field of the texts; by default ``text``.
    """

    place: str = field(repr=False)
    name: str
    id: str | None = None
    vector: str | None = None
    text: str | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"Redis index {self.name!a}"

    @contextmanager
    def open(self, wish: Wish, tally: Tally) -> Iterator[Contents]:
        """Connect, and look at the index."""
        with _connect(self.place) as client:
            layout = _describe(client, self.name)
            vector = self._choose_vector(layout)
            others = [each.name for each in layout.attributes if each.type == "VECTOR" and each is not vector]
            for name in others:
                tally.note(f"The field {name!a} is left out: it holds other vectors.")
            read = JsonReader if layout.is_json else HashReader
            reader = read(client, layout, vector, tally)
            if len(layout.prefixes) > 1 and self.id is None:
                tally.note("The index has several prefixes, so the ids are whole keys.")
            kind = str(vector.details.get("data_type", "FLOAT32"))
            if kind not in WIRE:
                raise Unsupported(f"vectors of type {kind[:20]}", "vecstore", f"It reads {', '.join(WIRE)}.")
            if "dim" not in vector.details:
                raise Unsupported(
                    "indexes whose FT.INFO names no dimension", "vecstore", "Upgrade the server's module."
                )
            yield Contents(
                int(vector.details["dim"]),
                _METRICS.get(str(vector.details.get("distance_metric"))),
                layout.count,
                lambda rows: self._read(reader, layout, rows),
                _DTYPES.get(kind, "float32"),
            )

    def _choose_vector(self, layout: IndexLayout) -> IndexAttribute:
        vectors = {each.name: each for each in layout.attributes if each.type == "VECTOR"}
        return vectors[choose_vectors(self.title, self.vector, vectors)]

    def _read(self, reader: KeyReader, layout: IndexLayout, rows: int) -> Iterator[SourceRows]:
        for prefix in layout.prefixes:
            keys = reader.list_keys(prefix)
            while piece := list(islice(keys, rows)):
                found = [(key, *each) for key, each in zip(piece, reader.fetch(piece), strict=True) if each is not None]
                payloads = [payload for _, payload, _ in found]
                # The same may follow several prefixes.
                cut = "" if len(layout.prefixes) > 1 else prefix
                ids = [payload.get(self.id) if self.id else _find_id(key, cut) for key, payload, _ in found]
                texts, rest = take_texts(payloads, self.text or "text")
                nested = [_take_metadata(payload, self.id) for payload in rest]
                if found:
                    yield SourceRows(ids, [vector for *_, vector in found], texts, {}, nested)


@contextmanager
def _connect(url: str) -> Iterator[Any]:
    try:
        import redis

        from ..backends.redis.failures import translate
        from ..backends.redis.options import make_server_url, parse_options
    except ModuleNotFoundError as error:
        raise MissingExtra((error.name or "redis").partition(".")[0], "redis") from error
    if not isinstance(url, str):
        raise InvalidUrl(
            f"The source is the URL of a Redis server, such as redis://host:6379/0, not {type(url).__name__}."
        )
    parsed = parse_url(url)
    if parsed.scheme not in {"redis", "rediss", "unix"}:
        raise InvalidUrl("The source is a Redis server. Write redis://user:password@host:6379/0.")
    options, theirs = parse_options(parsed.parameters, parsed.scheme)
    client = redis.Redis.from_url(
        make_server_url(parsed.scheme, parsed.location, theirs), protocol=2, socket_timeout=options.timeout
    )
    try:
        yield client
    except redis.RedisError as error:
        raise translate(error, connecting=True) from error
    finally:
        client.close()


def _describe(client: Any, name: str) -> IndexLayout:
    """Return what an index covers.

    Raises
    ------
    InvalidArgument
        There is no such index, or its documents are addressed by paths that are not simple.
    """
    known = {decode(each) for each in client.execute_command("FT._LIST")}
    if name not in known:
        raise InvalidArgument(f"The server has no index {name[:60]!a}.{close_matches(name, known)}")
    info = _pair(client.execute_command("FT.INFO", name))
    definition = _pair(info["index_definition"])
    attributes = [_read_attribute(each) for each in info["attributes"]]
    count = info.get("num_docs")
    return IndexLayout(
        [decode(prefix) for prefix in definition["prefixes"]],
        decode(definition["key_type"]) == "JSON",
        attributes,
        int(count) if count is not None else None,
    )


def _read_attribute(given: Sequence[Any]) -> IndexAttribute:
    details = {key: decode(value) if isinstance(value, bytes) else value for key, value in _pair(given).items()}
    return IndexAttribute(str(details["identifier"]), str(details["attribute"]), str(details["type"]), details)


def _pair(flat: Sequence[Any]) -> dict[str, Any]:
    """Return names and values that follow one another as a mapping; single words at the end are left out."""
    return {decode(flat[place]): flat[place + 1] for place in range(0, len(flat) - 1, 2)}


def _find_id(key: bytes, prefix: str) -> str:
    """Return what follows the prefix of a key, without the colon that redisvl puts between them."""
    rest = decode(key[len(prefix.encode("utf-8", "surrogateescape")) :])
    return rest if not prefix or prefix.endswith(":") else rest.removeprefix(":")


def _take_metadata(payload: Payload, id_: str | None) -> Payload:
    written = payload.get(_LANGCHAIN)
    if isinstance(written, str):
        try:
            found = json.loads(written)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
    dropped = {id_, *(_BESIDE if _LANGCHAIN in payload else ())}
    return {name: value for name, value in payload.items() if name not in dropped}
