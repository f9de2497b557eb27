"""All checksums of the directory: of rows, of vectors, and of each MiB of a file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import NDArray

BLOCK = 1 << 20
_SEED = 0xFFFFFFFF


def checksum_row(values: Sequence[Any]) -> int:
    """Return the checksum of a row of ints, floats, strings and None.

    ``ascii`` writes each value in the same way on every Python, and distinct rows differently.
    """
    return zlib.crc32(ascii(tuple(values)).encode())


def checksum_body(rid: int, extra: str, text: str | None) -> int:
    """Return the checksum of a record's content other than its declared fields."""
    # No text contains NUL, so distinct records give distinct bodies.
    body = f"{extra}\0" if text is None else f"{extra}\0\0{text}"
    return zlib.crc32(body.encode(), rid & _SEED)


def checksum_encoded_body(rid: int, extra: bytes, text: bytes | None) -> int:
    """Return what `checksum_body` returns, of content that is UTF-8 already."""
    crc = zlib.crc32(extra, rid & _SEED)
    return zlib.crc32(b"\0", crc) if text is None else zlib.crc32(text, zlib.crc32(b"\0\0", crc))


def checksum_rows(rows: Iterable[tuple[Any, ...]]) -> list[int]:
    """Return `checksum_row` of many rows, in half the time."""
    return list(map(zlib.crc32, map(str.encode, map(ascii, rows))))


def checksum_bodies(rids: range, extras: Sequence[str], texts: Sequence[str | None]) -> list[int]:
    """Return `checksum_body` of many records, in half the time."""
    bodies = [f"{extra}\0" if text is None else f"{extra}\0\0{text}" for extra, text in zip(extras, texts, strict=True)]
    seeds = rids if rids.stop <= _SEED else [rid & _SEED for rid in rids]
    return list(map(zlib.crc32, map(str.encode, bodies), seeds))


def checksum_memtable_row(rid: int, vector: bytes) -> int:
    """Return the checksum of a row of the table ``hot``."""
    return zlib.crc32(vector, rid & _SEED)


def checksum_vector(vector: NDArray[Any]) -> int:
    """Return the checksum of a vector, in the byte order of the files."""
    return zlib.crc32(vector.astype(vector.dtype.newbyteorder("<"), copy=False).tobytes())


class BlockCrcs:
    """Checksums of each MiB of a stream that comes in pieces."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.size = 0
        """How many bytes were added."""

    def add(self, data: bytes | memoryview) -> None:
        """Add the next piece."""
        view = memoryview(data).cast("B")
        start = 0
        while start < len(view):
            filled = self.size % BLOCK
            if filled == 0:
                self.values.append(0)
            part = view[start : start + BLOCK - filled]
            self.values[-1] = zlib.crc32(part, self.values[-1])
            self.size += len(part)
            start += len(part)
