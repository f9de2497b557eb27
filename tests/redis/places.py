"""Places of the conformance suite on Redis. Each has its own namespace."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import redis

import vecstore
from vecstore import Database, registry
from vecstore.backend import Backend
from vecstore.testing import Place, RawGeneration, RawIndex, RawRecord

_PAGE = 1_000
_KINDS = {"gen", "rec", "ids", "tombs", "versions", "changes", "index"}


class RedisPlace(Place):
    """A new namespace on a server. Indexes are built at so few records that the suite reaches them."""

    part = 6

    def __init__(self, server: str, min_rows: int = 32) -> None:
        self.server = server
        self.namespace = f"t_{secrets.token_hex(8)}"
        self._min_rows = min_rows
        self._backends: list[Backend] = []

    @property
    def url(self) -> str:
        return add_parameters(self.server, index_min_rows=self._min_rows, namespace=self.namespace)

    def connect(self) -> Database:
        return vecstore.connect(self.url)

    def backend(self) -> Backend:
        backend = registry.connect(self.url)
        self._backends.append(backend)
        return backend

    def indexes(self, store: str) -> Sequence[RawIndex]:
        with redis.Redis.from_url(self.server, protocol=2) as client:
            prefix = f"{self.namespace}:index:{self._find_active(client, store)}:".encode()
            names = [name for name in client.execute_command("FT._LIST") if name.startswith(prefix)]
            infos = [to_mapping(client.execute_command("FT.INFO", name)) for name in names]
        fields = [to_mapping(field) for info in infos for field in info["attributes"]]
        graphs = [field for field in fields if field.get("algorithm") == b"HNSW"]
        return [RawIndex(int(field["M"]), int(field["ef_construction"])) for field in graphs]

    def _find_active(self, client: redis.Redis, store: str) -> str:
        """Return the id of a store's active generation."""
        uid = read_hash(client, f"{self.namespace}:names")[store].decode()
        return read_hash(client, f"{self.namespace}:store:{uid}")["active"].decode()

    def raw(self, store: str) -> Mapping[str, RawRecord]:
        with redis.Redis.from_url(self.server) as client:
            generation = self._find_active(client, store)
            schema = json.loads(read_hash(client, f"{self.namespace}:gen:{generation}")["schema"])
            ids = client.execute_command("ZRANGE", f"{self.namespace}:ids:{generation}", 0, -1)
            found = {}
            for id_ in ids:
                row = read_hash(client, f"{self.namespace}:rec:{generation}:".encode() + id_)
                found[id_.decode()] = decode_record(row, schema)
        return found

    def generations(self) -> Mapping[str, RawGeneration]:
        with redis.Redis.from_url(self.server) as client:
            keys = [*client.scan_iter(match=f"{self.namespace}:*", count=_PAGE), *client.execute_command("FT._LIST")]
            parts = [key.decode().split(":", 3) for key in keys]
            owners = {rest[0] for space, kind, *rest in parts if space == self.namespace and kind in _KINDS}
            return {generation: self._read_generation(client, generation) for generation in owners}

    def _read_generation(self, client: redis.Redis, generation: str) -> RawGeneration:
        def list_ids(kind: str) -> list[bytes]:
            found: list[bytes] = client.execute_command("ZRANGE", f"{self.namespace}:{kind}:{generation}", 0, -1)
            return found

        prefix = f"{self.namespace}:rec:{generation}:"
        records = list(client.scan_iter(match=f"{prefix}*", count=_PAGE))
        assert sorted(records) == sorted(prefix.encode() + id_ for id_ in list_ids("ids"))
        versions = {key.removeprefix(prefix.encode()).decode(): client.hget(key, "version") for key in records}
        tombstones = read_hash(client, f"{self.namespace}:versions:{generation}")
        assert tombstones.keys() == {id_.decode() for id_ in list_ids("tombs")}
        return RawGeneration(
            {id_: int(version or 0) for id_, version in versions.items()},
            {id_: int(version) for id_, version in tombstones.items()},
            [id_.decode() for id_ in list_ids("changes")],
        )

    def close(self) -> None:
        for backend in self._backends:
            backend.close()
        with redis.Redis.from_url(self.server) as client:
            wipe(client, self.namespace)


def add_parameters(server: str, **parameters: object) -> str:
    """Return a server's URL with parameters of vecstore."""
    return f"{server}{'&' if '?' in server else '?'}{urlencode(parameters)}"


def wipe(client: redis.Redis, namespace: str) -> None:
    """Remove everything in a namespace. The indexes go first, because they would follow the removal of each key."""
    for name in client.execute_command("FT._LIST"):
        if name.startswith(f"{namespace}:".encode()):
            client.execute_command("FT.DROPINDEX", name)
    # A namespace contains no special character of MATCH.
    keys = list(client.scan_iter(match=f"{namespace}:*", count=_PAGE))
    for first in range(0, len(keys), _PAGE):
        client.unlink(*keys[first : first + _PAGE])


def to_mapping(reply: Sequence[Any]) -> dict[str, Any]:
    """Return a reply of alternating names and values as a mapping."""
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=False)}


def read_hash(client: redis.Redis, key: str | bytes) -> dict[str, bytes]:
    """Return the values of a hash by attribute."""
    return {name.decode(): value for name, value in client.execute_command("HGETALL", key).items()}


def decode_record(row: Mapping[str, bytes], schema: Mapping[str, Any]) -> RawRecord:
    text = row["text"].decode() if "text" in row else None
    declared = {
        name: READ[kind](row[f"f_{name}"].decode()) for name, kind in schema["fields"].items() if f"f_{name}" in row
    }
    return RawRecord(text, row.get("vector"), {**json.loads(row.get("extra", b"{}")), **declared})


def decode_string(token: str) -> str:
    """Return the string of a token: plain after a ``p``, or in UTF-8 and hex after an ``h``."""
    kind, rest = token[0], token[1:]
    return rest if kind == "p" else bytes.fromhex(rest).decode()


def decode_strings(tokens: str) -> tuple[str, ...]:
    """Return the strings of a list of tokens, whose first one marks it as a list."""
    mark, *rest = tokens.split(",")
    assert mark == "l"
    return tuple(map(decode_string, rest))


READ: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "bool": {"true": True, "false": False}.__getitem__,
        "datetime": int,
        "float": float,
        "int": int,
        "keyword": decode_string,
        "keywords": decode_strings,
    }
)
