"""Index files: a graph derived from the vectors. The whole file is checked before FAISS reads a byte.

::

    head     length of the description (4 bytes), the description as JSON, padded to 64 bytes
    rids     n × int64
    nodes    n × int32, padded to 8 bytes
    graph    as FAISS writes it
    table    one CRC for each MiB of everything above
    footer   24 bytes: file size, length of the graph, CRC of the table, magic

The commit names the file by uid, size and the CRC in its footer. The description names the generation,
the rows and how they were coded. An index that is missing, damaged or of another store is not used.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt
from vecstore.metric import Metric

from ..metrics import RoundingError
from ..search.codes import Codes, Coding
from ..search.faiss_threads import count_cores, in_parallel
from ..search.graph import Graph, assemble_graph, open_scanner
from ..storage import os_calls
from ..storage.checksums import BLOCK, BlockCrcs
from .faiss_io import copy_links, open_copying_reader, stream_index

_FORMAT = 1
_ALIGNED = 64
_LENGTH = struct.Struct("<I")
_FOOTER = struct.Struct("<QQI4s")
_END = b"XDIV"
_NO_INDEX = (ValueError, TypeError, KeyError, RuntimeError, MemoryError)
"""Raised for an invalid description, and by FAISS."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """An index as the ledger names it."""

    uid: str
    size: int
    crc: int
    n: int
    last: int
    m: int
    ef_construction: int


def write(path: Path, generation: str, graph: Graph) -> IndexRow:
    """Write a graph; no commit names the file until the returned row is committed."""
    import faiss

    sums = BlockCrcs()
    with os_calls.stream_new_file(path) as put:

        def out(data: bytes | memoryview) -> None:
            sums.add(data)
            put(data)

        out(_make_head(generation, graph))
        out(np.ascontiguousarray(graph.rids, "<i8").view(np.uint8).data)
        out(np.ascontiguousarray(graph.nodes, "<i4").view(np.uint8).tobytes().ljust(_measure_nodes(len(graph)), b"\0"))
        before = sums.size
        stream_index(lambda writer: faiss.write_index(graph.index, writer), out)
        table = struct.pack(f"<{len(sums.values)}I", *sums.values)
        size, crc = sums.size + len(table) + _FOOTER.size, zlib.crc32(table)
        put(table + _FOOTER.pack(size, sums.size - before, crc, _END))
    return IndexRow(path.stem, size, crc, len(graph), graph.last, graph.m, graph.ef_construction)


def read(path: Path, generation: str, row: IndexRow, metric: Metric, *, growing: bool = False) -> Graph:
    """Read a graph after every byte was checked.

    Parameters
    ----------
    path : Path
    generation : str
    row : IndexRow
    metric : Metric
    growing : bool
        Whether rows will be added, which needs private memory; otherwise FAISS reads from the mapped file.

    Raises
    ------
    StoreCorrupt
    """
    try:
        data = np.frombuffer(os_calls.map_file(path, row.size), np.uint8)
    except StoreCorrupt as error:
        raise _make_error(path) from error
    size, length, crc, end = _FOOTER.unpack(data[-_FOOTER.size :].tobytes())
    body = data[: -_FOOTER.size - 4 * -(-(row.size - _FOOTER.size) // (BLOCK + 4))]
    table = data[len(body) : -_FOOTER.size]
    if (size, crc, end) != (row.size, row.crc, _END) or zlib.crc32(table.data) != crc or not _is_intact(body, table):
        raise _make_error(path)
    try:
        return _parse_graph(body, length, generation, row, metric, growing=growing)
    except _NO_INDEX as error:
        raise StoreCorrupt(f"{path} holds no index of this store. Build it again with reindex().") from error


def _make_head(generation: str, graph: Graph) -> bytes:
    coding = graph.codes.coding
    description = {
        "format": _FORMAT,
        "generation": generation,
        "metric": coding.metric.value,
        "dim": coding.dim,
        "exponent": coding.exponent,
        "slack": asdict(graph.codes.error),
        "n": len(graph),
        "last": graph.last,
        "m": graph.m,
        "ef_construction": graph.ef_construction,
    }
    text = json.dumps(description).encode()
    return (_LENGTH.pack(len(text)) + text).ljust(-(-(_LENGTH.size + len(text)) // _ALIGNED) * _ALIGNED)


def _make_error(path: Path) -> StoreCorrupt:
    return StoreCorrupt(f"{path} is not what was written. Build the index again with reindex().")


def _is_intact(body: NDArray[np.uint8], table: NDArray[np.uint8]) -> bool:
    expected = struct.unpack(f"<{len(table) // 4}I", table.tobytes())
    shares = [range(hand, len(expected), count_cores()) for hand in range(count_cores())]
    return all(in_parallel([partial(_are_intact, body, expected, share) for share in shares]))


def _are_intact(body: NDArray[np.uint8], expected: Sequence[int], places: range) -> bool:
    return all(zlib.crc32(body[place * BLOCK : (place + 1) * BLOCK].data) == expected[place] for place in places)


def _parse_graph(
    body: NDArray[np.uint8], length: int, generation: str, row: IndexRow, metric: Metric, *, growing: bool
) -> Graph:
    import faiss

    (text_size,) = _LENGTH.unpack(body[: _LENGTH.size].tobytes())
    text = body[_LENGTH.size : _LENGTH.size + text_size].tobytes()
    described: Mapping[str, Any] = json.loads(text)
    expected = {"format": _FORMAT, "generation": generation, "metric": metric.value, "n": row.n, "last": row.last,
                "m": row.m, "ef_construction": row.ef_construction}  # fmt: skip
    if any(described[name] != value for name, value in expected.items()):
        raise ValueError("another index")
    start = -(-(_LENGTH.size + text_size) // _ALIGNED) * _ALIGNED
    rids = body[start : start + 8 * row.n].view("<i8").astype(np.int64, copy=False)
    start += 8 * row.n
    nodes = body[start : start + 4 * row.n].view("<i4").astype(np.int32, copy=False)
    rest = body[start + _measure_nodes(row.n) :]
    if len(rest) != length:
        raise ValueError("another length")
    reader = open_copying_reader(rest) if growing else faiss.ZeroCopyIOReader(faiss.swig_ptr(rest), len(rest))
    index = faiss.read_index(reader)
    links = None if growing else copy_links(index)
    count = int(index.ntotal)
    if index.d != described["dim"] or (len(nodes) and (int(nodes.min()), int(nodes.max())) != (0, count - 1)):
        raise ValueError("another graph")
    coding = Coding(metric, described["dim"], described["exponent"])
    codes = Codes(coding, open_scanner(index), RoundingError(**described["slack"]))
    return assemble_graph(index, codes, rids, nodes, row.last, row.m, row.ef_construction, (rest, links))


def _measure_nodes(n: int) -> int:
    return -(-4 * n // 8) * 8
