"""FAISS: the file of an index, with the records beside it in JSON lines, JSON or Parquet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument
from ..metric import Metric
from .imported import Tally
from .payloads import Payload, lift, take_texts
from .record_file import open_records
from .source import Contents, ImportSource, Wish
from .source_rows import SourceRows

_READABLE = "IndexFlat, IndexHNSWFlat, and IndexIDMap over them"


@dataclass(frozen=True)
class FaissIndex(ImportSource):
    """The file of an index that keeps vectors as they are, and a file of the records that belong to them.

    FAISS stores vectors and numbers only. Record n of the file belongs to vector n, unless ``number`` says otherwise.

    Parameters
    ----------
    place : str or path
        The file that ``faiss.write_index`` made: ``IndexFlat``, ``IndexHNSWFlat``, or ``IndexIDMap`` over them.
    records : str or path, optional
        A file that ends in ``.jsonl``, ``.json`` or ``.parquet``. Without it ids are FAISS's numbers, and there are
        neither texts nor metadata. A pickle is never read.
    id : str, optional
        The key of the ids; by default ``id`` where the first record has it, otherwise FAISS's numbers.
    text : str, optional
        The key of the texts; by default ``text``.
    metadata : str, optional
        A key of objects, whose keys become keys of metadata; by default ``metadata``.
    number : str, optional
        The key of FAISS's numbers: positions, or the ids of an ``IndexIDMap``.
    """

    place: str | os.PathLike[str]
    records: str | os.PathLike[str] | None = None
    id: str | None = None
    text: str | None = None
    metadata: str | None = None
    number: str | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"The FAISS index {Path(self.place).name!a}"

    @contextmanager
    def open(self, wish: Wish, tally: Tally) -> Iterator[Contents]:
        """Map the index, and open the records."""
        if self.number is not None and self.records is None:
            raise InvalidArgument("number='…' names a key of the records. Give records='…' (--records) too.")
        index = _read_index(Path(self.place).expanduser(), self.title)
        dim, count = index.matrix.shape[1], len(index.matrix)
        if self.records is None:
            yield Contents(dim, index.metric, count, lambda rows: _read_bare(index, rows))
            return
        with open_records(self.records) as file:
            if self.number is None and file.count != count:
                raise InvalidArgument(
                    f"{self.title} has {count:,} vectors, and {Path(self.records).name!a} has {file.count:,} records. "
                    "Name the key of FAISS's numbers in the records: number='…' (--number-column)."
                )
            if file.count < count:
                tally.note(f"At least {count - file.count:,} vectors of the index have no record, and are left out.")
            yield Contents(dim, index.metric, file.count, lambda rows: self._read(index, file.read(rows)))

    def _read(self, index: _Vectors, pieces: Iterator[list[Payload]]) -> Iterator[SourceRows]:
        find = _make_finder(index.numbers)
        key, start = self.id, 0
        for payloads in pieces:
            if key is None:
                key = "id" if "id" in payloads[0] else ""
            if self.number is None:
                places: Sequence[int | None] = range(start, start + len(payloads))
            else:
                places = [find(payload.get(self.number)) for payload in payloads]
            start += len(payloads)
            vectors = [None if place is None else index.matrix[place] for place in places]
            ids = [
                payload.get(key) if key else None if place is None else int(index.numbers[place])
                for place, payload in zip(places, payloads, strict=True)
            ]
            texts, rest = take_texts(payloads, self.text or "text")
            rest = lift(rest, self.metadata or "metadata")
            dropped = {key, self.number}
            nested = [{name: value for name, value in payload.items() if name not in dropped} for payload in rest]
            yield SourceRows(ids, vectors, texts, {}, nested)


@dataclass(frozen=True, slots=True, eq=False)
class _Vectors:
    """The vectors of an index in its mapped file, their numbers, the metric, and the object that owns the memory."""

    matrix: NDArray[np.float32]
    numbers: NDArray[np.int64]
    metric: Metric
    owner: Any


def _read_index(path: Path, title: str) -> _Vectors:
    import faiss

    if not path.is_file():
        raise InvalidArgument(f"There is no file {str(path)!a}. Give the file that faiss.write_index() made.")
    try:
        owner = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise InvalidArgument(f"{title} cannot be read by FAISS; the cause is above. Write it again.") from error
    index, numbers = owner, None
    if isinstance(index, faiss.IndexIDMap):
        numbers = faiss.vector_to_array(index.id_map).astype(np.int64)
        index = faiss.downcast_index(index.index)
    kind = type(index).__name__
    if isinstance(index, faiss.IndexHNSWFlat):
        index = faiss.downcast_index(index.storage)
    if not isinstance(index, faiss.IndexFlat):
        raise InvalidArgument(
            f"{title} is of type {kind}, which does not keep vectors as they were. Readable are {_READABLE}. Add the "
            "vectors to an IndexFlat, or give them to a store with vecstore.Columns."
        )
    metrics = {faiss.METRIC_INNER_PRODUCT: Metric.IP, faiss.METRIC_L2: Metric.L2}
    if index.metric_type not in metrics:
        raise InvalidArgument(f"{title} has a metric that vecstore does not have. It has cosine, ip and l2.")
    if not index.ntotal:
        raise InvalidArgument(f"{title} has no vectors to import.")
    matrix = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).reshape(index.ntotal, index.d)
    return _Vectors(matrix, np.arange(index.ntotal) if numbers is None else numbers, metrics[index.metric_type], owner)


def _read_bare(index: _Vectors, rows: int) -> Iterator[SourceRows]:
    for start in range(0, len(index.matrix), rows):
        part = slice(start, start + rows)
        yield SourceRows(index.numbers[part].tolist(), list(index.matrix[part]))


def _make_finder(numbers: NDArray[np.int64]) -> Callable[[Any], int | None]:
    """Return a function from one of FAISS's numbers to the vector's position."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]

    def find(number: Any) -> int | None:
        if isinstance(number, bool) or not isinstance(number, int):
            return None
        place = int(np.searchsorted(ordered, number))
        return int(order[place]) if place < len(ordered) and ordered[place] == number else None

    return find
