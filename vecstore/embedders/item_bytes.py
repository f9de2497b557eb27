"""The bytes of an item, by which it is recognised: equal items have equal bytes, others do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidArgument


def hash_item(item: object) -> bytes:
    """Return the SHA-256 of an item: of a text, number, mapping, array, image, or of what is in a file.

    Raises
    ------
    InvalidArgument
        Nothing is known of its type.
    """
    kind, parts = _take_apart(item)
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def _take_apart(item: Any) -> tuple[str, list[bytes]]:
    if isinstance(item, str):
        return "str", [item.encode()]
    if isinstance(item, bytes):
        return "bytes", [item]
    if isinstance(item, bool | int | float):
        return type(item).__name__, [repr(item).encode()]
    if isinstance(item, np.ndarray) and not item.dtype.hasobject:
        return "array", [item.dtype.str.encode(), repr(item.shape).encode(), np.ascontiguousarray(item).tobytes()]
    if isinstance(item, Path):
        # What is in it now: a file that was changed is another item.
        return "file", [item.read_bytes()]
    if isinstance(item, Mapping | list | tuple):
        return "json", [json.dumps(item, sort_keys=True, ensure_ascii=False, default=_refuse).encode()]
    if all(hasattr(item, name) for name in ("mode", "size", "tobytes")):  # PIL.Image.Image
        return "image", [str(item.mode).encode(), repr(item.size).encode(), item.tobytes()]
    raise _refuse(item)


def _refuse(item: object) -> InvalidArgument:
    return InvalidArgument(f"An item of type {type(item).__name__} has no bytes by which it could be recognised.")
