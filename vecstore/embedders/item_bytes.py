"""The bytes of an item, by which it is recognised: equal items have equal bytes, others do not.

Whatever a model may see of an item is in them. Where in doubt two items differ, which costs one more embedding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidArgument, InvalidMetadata

_DEEPEST = 32
"""How deep lists and mappings may be nested. What is deeper may contain itself."""
_IMAGE = ("mode", "size", "tobytes", "palette", "getpalette", "getexif", "info")
"""What `PIL.Image.Image` has, which is not imported for it."""
_ORIENTATION = 0x0112
"""The tag of EXIF that says which side of a picture is up."""


def hash_item(item: object) -> bytes:
    """Return the SHA-256 of an item: of a text, number, mapping, array, image, or of what is in a file.

    Raises
    ------
    InvalidArgument
        Nothing is known of its type.
    InvalidMetadata
        A file cannot be read.
    """
    return _hash(item, 0)


def _hash(item: object, depth: int) -> bytes:
    if depth > _DEEPEST:
        raise InvalidArgument(f"An item of lists and mappings nested more than {_DEEPEST} deep is not recognised.")
    kind, parts = _take_apart(item, depth)
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def _take_apart(item: Any, depth: int) -> tuple[str, list[bytes]]:
    if isinstance(item, str):
        return "str", [item.encode("utf-8", "surrogatepass")]
    if isinstance(item, bytes):
        return "bytes", [item]
    if item is None or isinstance(item, bool | int | float):
        return type(item).__name__, [repr(item).encode()]
    if isinstance(item, np.ndarray) and not (item.dtype.hasobject or isinstance(item, np.ma.MaskedArray)):
        # Not dtype.str, which leaves out the names of fields.
        return "array", [repr(item.dtype).encode(), repr(item.shape).encode(), np.ascontiguousarray(item).tobytes()]
    if isinstance(item, Path):
        return "file", [_read_file(item)]
    if isinstance(item, Mapping):
        # By the digests of keys, because keys of two types have no order: {1: …} is another mapping than {"1": …}.
        pairs = sorted((_hash(key, depth + 1), _hash(value, depth + 1)) for key, value in item.items())
        return "mapping", [part for pair in pairs for part in pair]
    if isinstance(item, list | tuple):
        return "tuple" if isinstance(item, tuple) else "list", [_hash(each, depth + 1) for each in item]
    if all(hasattr(item, name) for name in _IMAGE):
        return "image", _take_picture_apart(item)
    raise InvalidArgument(f"An item of type {type(item).__name__} has no bytes by which it could be recognised.")


def _read_file(path: Path) -> bytes:
    """Return what is in a file now: one that was changed is another item."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidMetadata(f"{str(path)!r} cannot be read: {error.strerror}.") from error


def _take_picture_apart(picture: Any) -> list[bytes]:
    """Return its pixels, the colours that their numbers stand for, and which side is up."""
    pixels = picture.tobytes()  # first, because it loads the rest of a file that was opened only
    palette = picture.palette
    colours = b"" if palette is None else str(palette.mode).encode() + bytes(picture.getpalette(None) or ())
    return [
        str(picture.mode).encode(),
        repr(picture.size).encode(),
        pixels,
        colours,
        repr(picture.info.get("transparency")).encode(),
        repr(picture.getexif().get(_ORIENTATION)).encode(),
    ]
