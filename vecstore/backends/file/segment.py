"""Segments: files of vectors that are written once, checked before use and mapped for reading.

::

    header   128 bytes: magic, format, dtype, dim, block size, n, base, generation, uid, …, CRC
    vectors  n × dim, little-endian, padded to 8 bytes
    norms    n × float64, the Euclidean norm of each vector
    table    one CRC for each MiB of vectors and norms
    footer   16 bytes: file size, CRC of header and table, magic

The vector of row ``rid`` is number ``rid - base``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import StoreCorrupt
from ...schema import Schema
from ...vectors import row_norms
from . import disk

BLOCK = 1 << 20
_FORMAT = 1
_MAGIC = b"VECSTSEG"
_END = b"GESV"
_HEADER = struct.Struct("<8s4I2Q16s16s")
_HEADER_SIZE = 128
_FOOTER = struct.Struct("<QI4s")
_DTYPES = {"float32": 1, "float16": 2}


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment as ``rows.db`` names it."""

    base: int
    n: int
    uid: str
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What is the same in all segments of a generation."""

    generation: str
    dim: int
    dtype: str

    @classmethod
    def of(cls, generation: str, schema: Schema) -> Shape:
        """Return the shape of a generation's segments."""
        return cls(generation, schema.width, schema.dtype)

    @property
    def stored(self) -> np.dtype[Any]:
        """The dtype in the file."""
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def row_bytes(self) -> int:
        """The bytes of a vector."""
        return self.dim * self.stored.itemsize

    def norms_at(self, n: int) -> int:
        """Return where the norms begin."""
        return _HEADER_SIZE + -(-n * self.row_bytes // 8) * 8

    def table_at(self, n: int) -> int:
        """Return where the table of checksums begins."""
        return self.norms_at(n) + 8 * n

    def blocks(self, n: int) -> int:
        """Return how many checksums there are."""
        return -(-(self.table_at(n) - _HEADER_SIZE) // BLOCK)

    def size(self, n: int) -> int:
        """Return the size of the file."""
        return self.table_at(n) + 4 * self.blocks(n) + _FOOTER.size

    def header(self, row_base: int, n: int, uid: str) -> bytes:
        """Return the header of a segment."""
        fields = _HEADER.pack(
            _MAGIC, _FORMAT, _DTYPES[self.dtype], self.dim, BLOCK, n, row_base,
            bytes.fromhex(self.generation), bytes.fromhex(uid),
        )  # fmt: skip
        fields = fields.ljust(_HEADER_SIZE - 4, b"\0")
        return fields + struct.pack("<I", zlib.crc32(fields))


class _BlockCrcs:
    """Checksums of each MiB of a stream."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self._filled = 0

    def add(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        start = 0
        while start < len(view):
            if self._filled == 0:
                self.values.append(0)
            part = view[start : start + BLOCK - self._filled]
            self.values[-1] = zlib.crc32(part, self.values[-1])
            self._filled = (self._filled + len(part)) % BLOCK
            start += len(part)


def write(path: Path, shape: Shape, base: int, n: int, chunks: Iterable[NDArray[Any]]) -> SegmentRow:
    """Write a segment of ``n`` vectors, which come in chunks, in bounded memory.

    Parameters
    ----------
    path : Path
        Ends with ``<uid>.vec``.
    shape : Shape
    base : int
        The rid of the first vector.
    n : int
    chunks : iterable of ndarray, shape (m, dim)

    Returns
    -------
    SegmentRow
        Nothing names the file before this is committed.
    """
    uid = path.stem
    header = shape.header(base, n, uid)
    crcs = _BlockCrcs()
    check = 0

    def body() -> Iterator[bytes | memoryview]:
        nonlocal check
        norms = np.empty(n, "<f8")
        done = 0
        yield header
        for chunk in chunks:
            rows = np.ascontiguousarray(chunk, shape.stored)
            norms[done : done + len(rows)] = row_norms(rows)
            done += len(rows)
            data = rows.reshape(-1).view(np.uint8).data
            crcs.add(data)
            yield data
        if done != n:
            raise StoreCorrupt(f"{path}: {done} vectors were found where {n} are stored.")
        rest = bytes(-n * shape.row_bytes % 8) + norms.tobytes()
        crcs.add(rest)
        yield rest
        table = struct.pack(f"<{len(crcs.values)}I", *crcs.values)
        check = zlib.crc32(table, zlib.crc32(header))
        yield table + _FOOTER.pack(shape.size(n), check, _END)

    size = disk.write_new_file(path, body())
    return SegmentRow(base, n, uid, size, check)


class Segment:
    """An open segment. Blocks are checked when they are first touched, and not again by this process."""

    def __init__(self, path: Path, shape: Shape, row: SegmentRow) -> None:
        self.path = path
        self.row = row
        self._row_bytes = shape.row_bytes
        if row.size != shape.size(row.n):
            raise self._damaged("its size")
        self._map = disk.map_file(path, row.size)
        self._norms_at, self._table_at = shape.norms_at(row.n), shape.table_at(row.n)
        blocks = shape.blocks(row.n)
        table = self._map[self._table_at : self._table_at + 4 * blocks]
        header, footer = self._map[:_HEADER_SIZE], self._map[-_FOOTER.size :]
        if header != shape.header(row.base, row.n, row.uid):
            raise self._damaged("its header")
        check = zlib.crc32(table, zlib.crc32(header))
        if check != row.crc or footer != _FOOTER.pack(row.size, check, _END):
            raise self._damaged("its table of checksums")
        self._crcs = struct.unpack(f"<{blocks}I", table)
        self._unseen = set(range(blocks))
        self._lock = Lock()
        body = np.frombuffer(self._map, shape.stored, row.n * shape.dim, _HEADER_SIZE)
        self._vectors = body.reshape(row.n, shape.dim)
        self._norms: NDArray[np.float64] = np.frombuffer(self._map, "<f8", row.n, self._norms_at)

    @property
    def vectors(self) -> NDArray[Any]:
        """All vectors, shape (n, dim); `touch` what is to be read."""
        return self._vectors

    def norms(self) -> NDArray[np.float64]:
        """Return all norms, checked."""
        if self._unseen:
            self._check_bytes(self._norms_at - _HEADER_SIZE, self._table_at - _HEADER_SIZE)
        return self._norms

    def touch(self, start: int, end: int) -> None:
        """Check the blocks that hold some vectors.

        Raises
        ------
        StoreCorrupt
        """
        if self._unseen and start < end:
            self._check_bytes(start * self._row_bytes, end * self._row_bytes)

    def gather(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Return copies of some vectors, checked."""
        if self._unseen:
            for place in places.tolist():
                self.touch(place, place + 1)
        return self._vectors[places]

    def check(self) -> list[str]:
        """Check every block, also those that were checked before; return what is damaged."""
        return [
            str(self._damaged(f"block {block + 1} of {len(self._crcs)}"))
            for block in range(len(self._crcs))
            if not self._is_good(block)
        ]

    def _check_bytes(self, start: int, end: int) -> None:
        with self._lock:
            for block in range(start // BLOCK, -(-end // BLOCK)):
                if block in self._unseen:
                    if not self._is_good(block):
                        raise self._damaged(f"block {block + 1} of {len(self._crcs)}")
                    self._unseen.discard(block)

    def _is_good(self, block: int) -> bool:
        start = _HEADER_SIZE + block * BLOCK
        with memoryview(self._map) as whole:
            crc = zlib.crc32(whole[start : min(start + BLOCK, self._table_at)])
        return crc == int(self._crcs[block])

    def _damaged(self, what: str) -> StoreCorrupt:
        return StoreCorrupt(f"{self.path}: {what} is not what was written. Restore the directory from a backup.")
