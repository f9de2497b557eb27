"""The files beside an ONNX graph that hold its weights, read from the graph itself.

Only the framing of protobuf is read, and of the messages only those in which a tensor can be, so that it takes no
library. Whoever trusts the hashes of a model has to know all its files: swapped weights are another model.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from ..errors import InvalidArgument

_TENSOR = "tensor"
_ENTRY = "entry"
_PARTS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "model": {7: "graph", 20: "training", 25: "function"},
        "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
        "training": {1: "graph", 2: "graph"},
        "function": {7: "node", 11: "attribute"},
        "node": {5: "attribute"},
        "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
        "sparse": {1: _TENSOR, 2: _TENSOR},
        _TENSOR: {13: _ENTRY},
    }
)
"""Of each message the fields that are messages, by their numbers in the schema of ONNX."""
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def find_locations(path: Path) -> list[str]:
    """Return the names of the files with weights of the graph in a file, sorted.

    Raises
    ------
    InvalidArgument
        The file is no graph, or it names a file outside its folder.
    """
    found = set()
    with open(path, "rb") as stream:
        if not os.fstat(stream.fileno()).st_size:
            raise _refuse(path)
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                for location in _walk(content):
                    found.add(os.path.normpath(location.decode()))
            except (ValueError, IndexError):
                raise _refuse(path) from None
    for name in found:
        if os.path.isabs(name) or name.split(os.sep)[0] in ("..", "."):
            raise InvalidArgument(f"{path} takes its weights from a file outside its folder. Export the model again.")
    return sorted(found)


def _refuse(path: Path) -> InvalidArgument:
    return InvalidArgument(f"vecstore cannot read {path} as an ONNX graph. Export the model again.")


def _walk(content: mmap.mmap) -> Iterator[bytes]:
    waiting = [("model", 0, len(content))]
    while waiting:
        kind, start, end = waiting.pop()
        for number, first, last in _list_fields(content, start, end):
            inside = _PARTS[kind].get(number)
            if inside == _ENTRY:
                entry = {key: content[a:b] for key, a, b in _list_fields(content, first, last)}
                if entry.get(1) == b"location":
                    yield entry.get(2, b"")
            elif inside is not None:
                waiting.append((inside, first, last))


def _list_fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number, start and end of each field that has a length."""
    place = start
    while place < end:
        tag, place = _read_varint(content, place)
        kind = tag & 7
        if kind == _VARINT:
            _, place = _read_varint(content, place)
        elif kind == _BYTES:
            size, place = _read_varint(content, place)
            if place + size > end:
                raise ValueError("a field is longer than its message")
            yield tag >> 3, place, place + size
            place += size
        elif kind in (_EIGHT, _FOUR):
            place += 8 if kind == _EIGHT else 4
        else:
            raise ValueError("a field is of a kind that ONNX does not have")
    if place != end:
        raise ValueError("a field is longer than its message")


def _read_varint(content: mmap.mmap, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number is too long")
