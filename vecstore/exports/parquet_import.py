"""Making a store of an exported Parquet file: it gets its name when its digest is that of the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend import Backend, Generation, Rows
from ..columns.arrow_input import import_pyarrow, read_batches
from ..columns.arrow_output import REST
from ..columns.conversion import convert_batch
from ..digest import Digest, digest_generation
from ..errors import InvalidArgument, StoreCorrupt
from ..incoming import BATCH_ROWS
from ..progress import Progress
from ..schema import Schema
from .header import KEY, ExportHeader, read_parquet_header
from .parquet_layout import VERSION, make_layout

_PAGE = 1_000
_MAX_VERSION = 1 << 53


def read_description(path: str) -> ExportHeader:
    """Return what a file says about the store that it was exported from.

    Raises
    ------
    InvalidArgument
        It is no whole export: not Parquet, without vectors, without a digest.
    MissingExtra
    """
    pa = import_pyarrow()
    from pyarrow import parquet

    try:
        names = parquet.read_schema(path).names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _refuse_file(path, error) from error
    value = read_parquet_header(path)
    if value is None:
        raise InvalidArgument(
            f"{path} does not say which store it was exported from. Make a store with create(), and give its table to "
            "upsert()."
        )
    header = ExportHeader.from_json(value, path)
    if header.digest is None or not header.vectors:
        lacks = "vectors" if not header.vectors else "a digest, as an older vecstore wrote it"
        raise InvalidArgument(f"{path} is an export without {lacks}. Add it with `vecstore add`.")
    if names != make_layout(header.schema, vectors=True, versions=True).names:
        raise InvalidArgument(
            f"{path} does not have the columns of its schema: it was changed after the export. Export again, or remove "
            f"the key {KEY!r} from its metadata to add it as any other table."
        )
    return header


def load(backend: Backend, generation: Generation, path: str, header: ExportHeader, report: Progress | None) -> None:
    """Write all records of a file into a generation that is empty, and prove that they are those that were exported.

    Raises
    ------
    StoreCorrupt
        The digest is another one.
    InvalidArgument
        The file is damaged.
    """
    schema, read = header.schema, Digest(header.schema)
    for rows in _read_rows(path, schema):
        versions = rows.versions or ()
        read.add(rows)
        # Without versions above 0, an id that comes again is refused.
        backend.write(generation, rows, insert=not any(versions), fence=versions if any(versions) else None)
        if report:
            report("writing", read.records, max(read.records, header.records or 0))
    if (read.records, str(read)) != (header.records, header.digest):
        raise StoreCorrupt(
            f"{path} has {read.records:,} records with the digest {str(read)[:8]}…, and says that it has "
            f"{header.records:,} with {str(header.digest)[:8]}…: it is damaged, or was changed after the export. No "
            f"store was made. Export again, or remove the key {KEY!r} from its metadata to add it as any other table."
        )
    stored = digest_generation(backend, generation)
    if str(stored) != str(read):
        raise StoreCorrupt(
            f"The new store has the digest {str(stored)[:8]}…, and {path} has {str(read)[:8]}…: what was stored is not "
            "what was read. No store was made. Try again; if this repeats, run verify() on another store here."
        )


def _read_rows(path: str, schema: Schema) -> Iterator[Rows]:
    """Yield the records of a file in batches, checked, with their versions."""
    vector_bytes = schema.width * np.dtype(schema.dtype).itemsize
    pa = import_pyarrow()
    try:
        for batch in read_batches(_Stream(path, schema), BATCH_ROWS, vector_bytes, schema.fields):
            columns = dict(batch.metadata)
            versions = _check_versions(columns.pop(VERSION), path)
            rows = convert_batch(replace(batch, metadata=columns), schema, None, unique=True)
            yield replace(rows, versions=versions)
    except (pa.ArrowException, OSError, UnicodeError, OverflowError) as error:
        raise _refuse_file(path, error) from error


class _Stream:
    """The batches of a file as an Arrow stream that says which column is JSON, as Parquet does not."""

    def __init__(self, path: str, schema: Schema) -> None:
        self._path = path
        self._schema = schema

    def __arrow_c_stream__(self, requested: object = None) -> Any:
        pa = import_pyarrow()
        layout = make_layout(self._schema, vectors=True, versions=True)
        place = layout.get_field_index(REST)
        told = layout.set(place, pa.field(REST, pa.json_(pa.string())))
        return pa.RecordBatchReader.from_batches(told, self._read(layout, told, place)).__arrow_c_stream__(requested)

    def _read(self, layout: Any, told: Any, place: int) -> Iterator[Any]:
        pa = import_pyarrow()
        from pyarrow import parquet

        with parquet.ParquetFile(self._path, pre_buffer=False, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=_PAGE):
                arrays = [column.cast(kind) for column, kind in zip(batch.columns, layout.types, strict=True)]
                arrays[place] = pa.ExtensionArray.from_storage(told.field(place).type, arrays[place])
                yield pa.record_batch(arrays, schema=told)


def _check_versions(column: Any, path: str) -> Sequence[int]:
    if all(type(each) is int and 0 <= each <= _MAX_VERSION for each in column):
        return list(column)
    raise InvalidArgument(f"{path}: the column {VERSION} has a value that is no version. Export again.")


def _refuse_file(path: str, error: Exception) -> InvalidArgument:
    reason = str(error).partition("\n")[0].rstrip(".")
    return InvalidArgument(f"{path}: cannot be read as Parquet: {reason}.")
