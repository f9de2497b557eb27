"""Copies of rows beside an index: what hits need, read from a mapped file where SQLite would have to look for it.

::

    head     80 bytes: magic, format, the generation and the index that the copies belong to
    rows     for each row of the graph, in its order: all but the text as JSON, the text
    places   (2n + 1) × int64: where each row and its text begin; a row that was gone has no bytes
    sums     n × uint32: the CRC of each row, begun with the length of its JSON
    footer   24 bytes: n, where the places begin, CRC of head and footer, nothing

A row never changes, and a snapshot says which rows exist, so copies cannot become stale. Each has a checksum and
names its row; one that is damaged is read from ``rows.db``, as is every row where the file is missing.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt

from ..state.rows import Values
from ..storage import os_calls

_HEAD = struct.Struct("<4sI32s32s8x")
_FOOTER = struct.Struct("<QQI4x")
_FORMAT = 1
_MAGIC = b"RWCP"
_ALIGNED = 8
_scan: Callable[[str, int], tuple[list[list[Any]], int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, eq=False)
class RowCopies:
    """The copies of an index's rows.

    Attributes
    ----------
    data, places, sums : memoryview
        The mapped file, and parts of it; see above.
    rids : ndarray of int64, shape (n,)
        Of the rows, rising; those of the graph.
    first : int
        The first of them, -1 if they have gaps.
    """

    data: memoryview
    places: Sequence[int]
    sums: Sequence[int]
    rids: NDArray[np.int64]
    first: int

    def find(self, rids: Sequence[int]) -> dict[int, Values]:
        """Return whole rows by rid, without those that are not here or not what was written."""
        count, data, places, sums = len(self.sums), self.data, self.places, self.sums
        heads, texts = list[memoryview](), list[memoryview]()
        for number in self._number(rids):
            if not 0 <= number < count:
                continue
            start, middle, end = places[2 * number : 2 * number + 3]
            if start < middle <= end and zlib.crc32(data[start:end], middle - start) == sums[number]:
                heads.append(data[start:middle])
                texts.append(data[middle:end])
        if not heads:
            return {}
        rows, _ = _scan(f"[{b','.join(heads).decode()}]", 0)
        for row, text in zip(rows, texts, strict=True):
            if row[-1] is not None:
                row[-1] = str(text, "utf-8")
        found = {row[0]: tuple(row) for row in rows}
        # What a damaged place leads to is another row.
        return found if len(found) == len(rids) and found.keys() == set(rids) else _take(found, rids)

    def _number(self, rids: Sequence[int]) -> Iterable[int]:
        """Return the numbers of rows; one that is not here may get that of another."""
        if self.first < 0:
            numbers: list[int] = np.searchsorted(self.rids, np.asarray(rids, np.int64)).tolist()
            return numbers
        first = self.first
        return [rid - first for rid in rids]


def write(path: Path, generation: str, rids: NDArray[np.int64], runs: Iterator[Mapping[int, Values]]) -> None:
    """Write copies of rows; the name of the file is durable when that of the index is, which comes after it.

    Parameters
    ----------
    path : Path
    generation : str
    rids : ndarray of int64
        Of the graph's rows.
    runs : iterator of mapping
        Whole rows by rid; those that there are of ``rids``, in their order.
    """
    begin = end = _HEAD.size
    places: NDArray[np.int64] = np.empty((len(rids), 2), "<i8")
    sums: NDArray[np.uint32] = np.zeros(len(rids), "<u4")
    rest = enumerate(rids.tolist())
    head = _make_head(path.stem, generation)
    with os_calls.stream_new_file(path, named=False) as put:
        put(head)
        for rows in runs:
            copies = []
            for rid, row in rows.items():
                for number, other in rest:
                    places[number] = end
                    if other == rid:
                        break
                shown, text = _encode(row)
                copies += [shown, text]
                sums[number] = zlib.crc32(text, zlib.crc32(shown, len(shown)))
                begin, end = end, end + len(shown) + len(text)
                places[number] = begin, begin + len(shown)
            put(b"".join(copies))
        for number, _ in rest:
            places[number] = end
        start = -(-end // _ALIGNED) * _ALIGNED
        put(bytes(start - end))
        put(places.tobytes() + struct.pack("<q", end))
        put(sums.tobytes())
        put(_make_footer(head, len(rids), start))


def read(path: Path, generation: str, rids: NDArray[np.int64]) -> RowCopies | None:
    """Map the copies of the rows of an index; None where there are none, or they are not those of this index."""
    identity = os_calls.read_identity(path)
    size = os_calls.measure_size(path)
    if identity is None or size < _HEAD.size + _FOOTER.size:
        return None
    try:
        data = memoryview(os_calls.map_file(path, size))
    except StoreCorrupt:
        return None
    head, footer = bytes(data[: _HEAD.size]), bytes(data[-_FOOTER.size :])
    count, start, _ = _FOOTER.unpack(footer)
    if head != _make_head(path.stem, generation) or footer != _make_footer(head, count, start):
        return None
    sums = start + 8 * (2 * count + 1)
    if count != len(rids) or sums + 4 * count + _FOOTER.size != size:
        return None
    is_gapless = count and int(rids[-1]) - int(rids[0]) + 1 == count
    places = data[start:sums].cast("q")
    return RowCopies(data, places, data[sums : -_FOOTER.size].cast("I"), rids, int(rids[0]) if is_gapless else -1)


def _take(found: Mapping[int, Values], rids: Sequence[int]) -> dict[int, Values]:
    return {rid: found[rid] for rid in rids if rid in found}


def _make_head(uid: str, generation: str) -> bytes:
    return _HEAD.pack(_MAGIC, _FORMAT, generation.encode(), uid.encode())


def _make_footer(head: bytes, count: int, start: int) -> bytes:
    return _FOOTER.pack(count, start, zlib.crc32(_FOOTER.pack(count, start, 0), zlib.crc32(head)))


def _encode(row: Values) -> tuple[bytes, bytes]:
    """Return a row as JSON, with an empty string in place of its text, and the text."""
    *head, text = row
    shown = json.dumps([*head, None if text is None else ""], ensure_ascii=False, separators=(",", ":"))
    return shown.encode(), (text or "").encode()
