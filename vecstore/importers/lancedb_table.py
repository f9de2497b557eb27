"""Tables of LanceDB. It takes the extra ``lancedb``, because no other program reads its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra, StorageFailed, VecstoreError, close_matches
from ..metric import Metric
from .imported import Tally
from .source import Contents, ImportSource, Wish, choose_vectors
from .source_rows import SourceRows

_METRICS = {"cosine": Metric.COSINE, "dot": Metric.IP, "l2": Metric.L2}


@dataclass(frozen=True)
class LancedbTable(ImportSource):
    """A table of LanceDB in a directory.

    Parameters
    ----------
    place : str or path
        The directory.
    name : str
        The table.
    id : str, optional
        The column of the ids; by default ``id``.
    vector : str, optional
        The column of the vectors; by default the only one.
    text : str, optional
        The column of the texts; by default ``text``.
    metadata : str, optional
        A column of structs, whose fields become keys of metadata; by default ``metadata``.
    """

    place: str | os.PathLike[str]
    name: str
    id: str | None = None
    vector: str | None = None
    text: str | None = None
    metadata: str | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"LanceDB table {self.name!a}"

    @contextmanager
    def open(self, wish: Wish, tally: Tally) -> Iterator[Contents]:
        """Open the newest version of the table."""
        try:
            import lancedb
        except ModuleNotFoundError as error:
            raise MissingExtra("lancedb", "lancedb") from error
        directory = Path(self.place).expanduser()
        known = sorted(each.stem for each in directory.glob("*.lance")) if directory.is_dir() else []
        if self.name not in known:
            raise InvalidArgument(
                f"There is no LanceDB table {self.name[:60]!a} in {str(directory)!a}.{close_matches(self.name, known)}"
            )
        try:
            table = lancedb.connect(str(directory)).open_table(self.name)
            vector = self._choose_vector(table.schema)
            key = self._check(table.schema, self.id or "id", "the ids", "id='…' (--id-column)")
            if self.text is not None:
                self._check(table.schema, self.text, "the texts", "text='…' (--text-column)")
            yield Contents(
                table.schema.field(vector).type.list_size,
                _find_metric(table, vector),
                table.count_rows(),
                lambda rows: self._read(table, key, vector, rows),
                "float16" if str(table.schema.field(vector).type.value_type) == "halffloat" else "float32",
            )
        except (OSError, RuntimeError) as error:
            if isinstance(error, VecstoreError):
                raise
            raise StorageFailed("LanceDB could not read the table; the cause is above.") from error

    def _choose_vector(self, schema: Any) -> str:
        found = [each.name for each in schema if _is_vector(each.type)]
        return choose_vectors(self.title, self.vector, found, "no column of vectors")

    def _check(self, schema: Any, name: str, what: str, option: str) -> str:
        if name not in schema.names:
            near = close_matches(name, schema.names)
            raise InvalidArgument(f"{self.title} has no column {name[:60]!a} for {what}. Name it: {option}.{near}")
        return name

    def _read(self, table: Any, key: str, vector: str, rows: int) -> Iterator[SourceRows]:
        text, nested = self.text or "text", self.metadata or "metadata"
        for batch in table.search().to_batches(rows):
            columns = {
                name: batch.column(name) for name in batch.schema.names if not _is_vector(batch.schema.field(name).type)
            }
            values = {name: column.to_pylist() for name, column in columns.items()}
            ids = values.pop(key)
            texts = (
                values.pop(text) if text in values and (self.text or _is_text(batch.schema.field(text).type)) else None
            )
            inner = None
            if nested in values and any(isinstance(each, dict) for each in values[nested]):
                inner = [each or {} for each in values.pop(nested)]
            yield SourceRows(ids, _list_vectors(batch.column(vector)), texts, values, inner)


def _is_vector(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _list_vectors(column: Any) -> list[Any]:
    size, present = column.type.list_size, column.is_valid().to_numpy(zero_copy_only=False)
    rows = iter(np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(-1, size))
    return [next(rows) if is_present else None for is_present in present]


def _find_metric(table: Any, vector: str) -> Metric | None:
    found = {table.index_stats(each.name).distance_type for each in table.list_indices() if vector in each.columns}
    metrics = {_METRICS.get(str(each)) for each in found if each}
    return metrics.pop() if len(metrics) == 1 else None
