"""Hashes and JSON documents under the keys that an index of Redis' query engine covers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from .imported import Tally
from .payloads import Payload

WIRE: Mapping[str, str] = MappingProxyType(
    {"FLOAT64": "<f8", "FLOAT32": "<f4", "FLOAT16": "<f2", "BFLOAT16": "<u2", "INT8": "<i1", "UINT8": "<u1"}
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_GLOB = str.maketrans({char: f"\\{char}" for char in "\\*?[]^-"})


@dataclass(frozen=True, slots=True)
class IndexAttribute:
    """What an index knows of one field."""

    path: str
    name: str
    type: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IndexLayout:
    """What an index covers."""

    prefixes: Sequence[str]
    is_json: bool
    attributes: Sequence[IndexAttribute]
    count: int | None


class KeyReader:
    """Reads the keys of an index and what they hold, and changes nothing."""

    kind: bytes

    def __init__(self, client: Any, layout: IndexLayout, vector: IndexAttribute, tally: Tally) -> None:
        self._client, self._vector, self._tally = client, vector, tally
        self._numbers = {each.name for each in layout.attributes if each.type == "NUMERIC"}
        self._beside = {each.name for each in layout.attributes if each.type == "VECTOR"}

    def list_keys(self, prefix: str) -> Iterator[bytes]:
        """Yield the keys with a prefix; some may come twice."""
        keys: Iterator[bytes] = self._client.scan_iter(
            match=f"{prefix.translate(_GLOB)}*", count=1_000, _type=self.kind
        )
        return keys

    def fetch(self, keys: Sequence[bytes]) -> list[tuple[Payload, Any] | None]:
        """Return the values and the vector of each key; None for one that is gone."""
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            self.ask(pipe, key)
        return [self.parse(reply) if reply else None for reply in pipe.execute()]

    def ask(self, pipe: Any, key: bytes) -> None:
        """Ask for what a key holds."""
        raise NotImplementedError

    def parse(self, reply: Any) -> tuple[Payload, Any]:
        """Return the values and the vector in an answer."""
        raise NotImplementedError


class HashReader(KeyReader):
    """Reads hashes, whose vectors are bytes and whose other values are texts."""

    kind = b"hash"

    def ask(self, pipe: Any, key: bytes) -> None:
        """Ask for what a key holds."""
        pipe.hgetall(key)

    def parse(self, reply: Any) -> tuple[Payload, Any]:
        """Return the values and the vector in an answer."""
        found: dict[str, Any] = {}
        packed = reply.pop(self._vector.path.encode(), None)
        for name, value in reply.items():
            key = decode(name)
            if key in self._beside:
                continue
            try:
                text = value.decode()
            except UnicodeDecodeError:
                self._tally.note(f"The field {key[:60]!a} is left out where it holds bytes that are no text.")
                continue
            found[key] = _read_number(text) if key in self._numbers else text
        return found, None if packed is None else self._unpack(packed)

    def _unpack(self, packed: bytes) -> Any:
        kind = str(self._vector.details.get("data_type", "FLOAT32"))
        wire = np.dtype(WIRE[kind])
        numbers = np.frombuffer(packed[: len(packed) // wire.itemsize * wire.itemsize], wire)
        if kind == "BFLOAT16":  # the upper half of a float32
            return (numbers.astype(np.uint32) << 16).view(np.float32)
        return numbers


class JsonReader(KeyReader):
    """Reads JSON documents."""

    kind = b"ReJSON-RL"

    def ask(self, pipe: Any, key: bytes) -> None:
        """Ask for what a key holds."""
        pipe.execute_command("JSON.GET", key)

    def parse(self, reply: Any) -> tuple[Payload, Any]:
        """Return the values and the vector in an answer."""
        document = json.loads(reply)
        if not isinstance(document, dict):
            return {}, None
        path = self._vector.path.removeprefix("$.").split(".")
        holder: Any = document
        for step in path[:-1]:
            holder = holder.get(step) if isinstance(holder, dict) else None
        vector = holder.pop(path[-1], None) if isinstance(holder, dict) else None
        return {name: value for name, value in document.items() if name not in self._beside}, vector


def decode(data: Any) -> str:
    """Return a name or a key as text."""
    return data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else str(data)


def _read_number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):  # Python reads more as a number than the engine does
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
