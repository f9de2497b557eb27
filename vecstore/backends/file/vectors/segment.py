"""Segments: files of vectors that are written once, checked before use and mapped for reading.

::

    header   128 bytes: magic, format, dtype, dim, block size, n, base, generation, uid, …, CRC
    vectors  n × dim, little-endian, padded to 8 bytes
    norms    n × float64, the Euclidean norm of each vector
    rids     n × int64, rising, in a sparse segment only
    table    one CRC for each MiB of vectors, norms and rids
    footer   16 bytes: file size, CRC of header and table, magic

A dense segment covers every rid from ``base`` to ``last``: row ``rid`` is number ``rid - base``. Ranges never overlap.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
import weakref
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.backends.shared.guards import refuse_newer
from vecstore.errors import StoreCorrupt
from vecstore.rows.vectors import compute_norms
from vecstore.schema import Schema

from ..storage import os_calls
from ..storage.checksums import BLOCK, BlockCrcs

_FORMAT = 1
_MAGIC = b"VECSTSEG"
_END = b"GESV"
_HEADER = struct.Struct("<8s4I3Q16s16s")
_HEADER_SIZE = 128
_FOOTER = struct.Struct("<QI4s")
_DTYPES = {"float32": 1, "float16": 2}


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment as ``rows.db`` names it, from the rid of its first row to that of its last."""

    base: int
    last: int
    n: int
    uid: str
    size: int
    crc: int

    @property
    def is_dense(self) -> bool:
        """Whether every rid from the first to the last has a vector here."""
        return self.last - self.base + 1 == self.n


@dataclass(frozen=True)
class Shape:
    """What all segments of a generation share."""

    generation: str
    dim: int
    dtype: str

    @classmethod
    def from_schema(cls, generation: str, schema: Schema) -> Shape:
        """Return the shape of a generation's segments."""
        return cls(generation, schema.width, schema.dtype)

    @cached_property
    def stored(self) -> np.dtype[Any]:
        """The dtype in the file."""
        return np.dtype(self.dtype).newbyteorder("<")

    @cached_property
    def row_bytes(self) -> int:
        """The size of a vector in bytes."""
        return self.dim * self.stored.itemsize

    def make_header(self, row: SegmentRow) -> bytes:
        """Return the header of a segment."""
        fields = _HEADER.pack(
            _MAGIC, _FORMAT, _DTYPES[self.dtype], self.dim, BLOCK, row.n, row.base, row.last,
            bytes.fromhex(self.generation), bytes.fromhex(row.uid),
        )  # fmt: skip
        fields = fields.ljust(_HEADER_SIZE - 4, b"\0")
        return fields + struct.pack("<I", zlib.crc32(fields))


class _Extents:
    """Where the parts of a file begin."""

    def __init__(self, shape: Shape, row: SegmentRow) -> None:
        self.norms = _HEADER_SIZE + -(-row.n * shape.row_bytes // 8) * 8
        self.rids = self.norms + 8 * row.n
        self.table = self.rids if row.is_dense else self.rids + 8 * row.n
        self.blocks = -(-(self.table - _HEADER_SIZE) // BLOCK)
        self.size = self.table + 4 * self.blocks + _FOOTER.size


def write(path: Path, shape: Shape, rids: range | NDArray[np.int64], chunks: Iterable[NDArray[Any]]) -> SegmentRow:
    """Write a segment of vectors that come in chunks; only rids and norms are held in memory in full.

    Parameters
    ----------
    path : Path
        Ends with ``<uid>.vec``.
    shape : Shape
    rids : range or ndarray of int64
        The rids of all vectors, rising, at least one.
    chunks : iterable of ndarray, shape (m, dim)

    Returns
    -------
    SegmentRow
        No commit names the file until this row is committed.
    """
    row = SegmentRow(int(rids[0]), int(rids[-1]), len(rids), path.stem, 0, 0)
    n, extents = row.n, _Extents(shape, row)
    header, crcs, check = shape.make_header(row), BlockCrcs(), 0

    def body() -> Iterator[bytes | memoryview]:
        nonlocal check
        norms = np.empty(n, "<f8")
        done = 0
        yield header
        for chunk in chunks:
            rows = np.ascontiguousarray(chunk, shape.stored)
            norms[done : done + len(rows)] = compute_norms(rows)
            done += len(rows)
            data = rows.reshape(-1).view(np.uint8).data
            crcs.add(data)
            yield data
        if done != n:
            raise StoreCorrupt(f"{path}: {done} vectors were found where {n} are stored.")
        numbers = b"" if row.is_dense else np.ascontiguousarray(rids, "<i8").data
        for rest in (bytes(-n * shape.row_bytes % 8), norms.data, numbers):
            crcs.add(rest)
            yield rest
        table = struct.pack(f"<{len(crcs.values)}I", *crcs.values)
        check = zlib.crc32(table, zlib.crc32(header))
        yield table + _FOOTER.pack(extents.size, check, _END)

    size = os_calls.write_new_file(path, body())
    return replace(row, size=size, crc=check)


def find_places(known: NDArray[np.int64] | int, size: int, rids: NDArray[np.int64]) -> tuple[NDArray[np.int64], Any]:
    """Return the places of rids among ``size`` known ones, and a mask of those that are known.

    Parameters
    ----------
    known : ndarray of int64 or int
        Rising; a number means a dense range that begins with it.
    size : int
    rids : ndarray of int64
    """
    if isinstance(known, int):
        places = rids - known
        return places, (places >= 0) & (places < size)
    places = np.searchsorted(known, rids)
    inside = places < size
    inside[inside] = known[places[inside]] == rids[inside]
    return places, inside


def _check_format(path: Path, header: bytes) -> None:
    """Refuse a segment that a newer vecstore wrote."""
    is_whole = len(header) == _HEADER_SIZE and struct.pack("<I", zlib.crc32(header[:-4])) == header[-4:]
    if is_whole and header.startswith(_MAGIC) and (version := _HEADER.unpack_from(header)[1]) > _FORMAT:
        refuse_newer(f"format {version} of {path}", "file")


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os_calls.close(descriptor)


class Segment:
    """An open segment. Each process checks a block once, when it is first touched."""

    def __init__(self, path: Path, shape: Shape, row: SegmentRow) -> None:
        self.path, self.row = path, row
        self._row_bytes = shape.row_bytes
        self._extents = extents = _Extents(shape, row)
        self._map = os_calls.map_file(path, row.size)
        try:
            self.descriptor = os_calls.open_for_reading(path)
        except BaseException:
            self._map.close()
            raise
        weakref.finalize(self, _close, self.descriptor)
        _check_format(path, self._map[:_HEADER_SIZE])
        if row.size != extents.size:
            raise self.make_error("its size")
        table = self._map[extents.table : extents.table + 4 * extents.blocks]
        header, footer = self._map[:_HEADER_SIZE], self._map[-_FOOTER.size :]
        if header != shape.make_header(row):
            raise self.make_error("its header")
        check = zlib.crc32(table, zlib.crc32(header))
        if check != row.crc or footer != _FOOTER.pack(row.size, check, _END):
            raise self.make_error("its table of checksums")
        self._crcs = struct.unpack(f"<{extents.blocks}I", table)
        self._unseen = set(range(extents.blocks))
        self._lock = Lock()
        self.vectors: NDArray[Any] = np.ndarray((row.n, shape.dim), shape.stored, self._map, _HEADER_SIZE)
        """All vectors, shape (n, dim); call `touch` before reading."""
        self._norms: NDArray[np.float64] = np.frombuffer(self._map, "<f8", row.n, extents.norms)
        self._is_dense = row.is_dense
        rids = row.base if row.is_dense else np.frombuffer(self._map, "<i8", row.n, extents.rids)
        self._rids: NDArray[np.int64] | int = rids

    def read_norms(self) -> NDArray[np.float64]:
        """Return all norms, checked."""
        if self._unseen:
            self._check_bytes(self._extents.norms - _HEADER_SIZE, self._extents.rids - _HEADER_SIZE)
        return self._norms

    @property
    def rids(self) -> NDArray[np.int64] | int:
        """The rids of all vectors, checked; for a dense segment only the first one."""
        if self._unseen and not self.row.is_dense:
            self._check_bytes(self._extents.rids - _HEADER_SIZE, self._extents.table - _HEADER_SIZE)
        return self._rids

    def find_offset(self, rid: int) -> int:
        """Return where a vector begins in the file, checked; -1 if it is not here."""
        if self._is_dense:
            place = rid - self.row.base
            if place >= self.row.n:
                return -1
        else:
            place = int(np.searchsorted(self.rids, rid))
            if place >= self.row.n or self.rids[place] != rid:  # type: ignore[index]
                return -1
        if self._unseen:
            self.touch(place, place + 1)
        return _HEADER_SIZE + place * self._row_bytes

    def release(self) -> None:
        """Release the mapped pages; the next read maps them again."""
        self._map.madvise(mmap.MADV_DONTNEED)

    def touch(self, start: int, end: int) -> None:
        """Check the blocks that hold a range of vectors."""
        if self._unseen and start < end:
            self._check_bytes(start * self._row_bytes, end * self._row_bytes)

    def gather(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Return copies of some vectors, checked."""
        if self._unseen:
            for place in places.tolist():
                self.touch(place, place + 1)
        return self.vectors[places]

    def read_verified(self, start: int, end: int) -> NDArray[Any]:
        """Return a range of vectors, checked again, since a copy is no longer covered by these checksums."""
        for block in range(start * self._row_bytes // BLOCK, -(-end * self._row_bytes // BLOCK)):
            if not self._is_good(block):
                raise self.make_error(f"block {block + 1} of {len(self._crcs)}")
        return self.vectors[start:end]

    def check(self) -> list[str]:
        """Check every block again; return the damaged ones."""
        return [
            str(self.make_error(f"block {block + 1} of {len(self._crcs)}"))
            for block in range(len(self._crcs))
            if not self._is_good(block)
        ]

    def _check_bytes(self, start: int, end: int) -> None:
        with self._lock:
            for block in self._unseen.intersection(range(start // BLOCK, -(-end // BLOCK))):
                if not self._is_good(block):
                    raise self.make_error(f"block {block + 1} of {len(self._crcs)}")
                self._unseen.discard(block)

    def _is_good(self, block: int) -> bool:
        start = _HEADER_SIZE + block * BLOCK
        with memoryview(self._map) as whole:
            return zlib.crc32(whole[start : min(start + BLOCK, self._extents.table)]) == int(self._crcs[block])

    def make_error(self, what: str) -> StoreCorrupt:
        """Return the error for a part of the file that is not what was written."""
        return StoreCorrupt(f"{self.path}: {what} is not what was written. Restore the directory from a backup.")
