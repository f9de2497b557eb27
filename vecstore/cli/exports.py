"""Records as files: JSON lines, and Parquet with typed columns; `vecstore add` reads both back."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import MissingExtra
from ..fields import Bool, DateTime, Field, Float, Int, Keyword, Keywords
from ..records import Record
from ..store import VectorStore
from .exits import STORAGE, Failure, describe_os_error
from .export_header import KEY, ExportHeader
from .output import dump_json, record_to_json
from .progress import Meter
from .sources import detect_kind, is_compressed

FORMATS = ("jsonl", "parquet")
_PAGE = 1_000
_REST = "metadata"
"""The Parquet column that holds undeclared metadata, as JSON text."""


def choose_format(file: str, wanted: str | None) -> str:
    """Return the format of an export: the requested one, or the one of the file's ending."""
    if is_compressed(Path(file)):
        raise Failure(
            f"{file}: exports are not compressed. Leave FILE out, and write `| gzip > {file}` behind the command."
        )
    kind = wanted or ("jsonl" if file == "-" else detect_kind(Path(file)))
    if kind not in FORMATS:
        raise Failure(f"{file}: name the format with --format: {' or '.join(FORMATS)}.")
    return kind


def export_to(
    store: VectorStore,
    file: str,
    kind: str,
    where: Mapping[str, Any] | None,
    *,
    vectors: bool,
    header: bool,
    overwrite: bool,
    meter: Meter,
) -> int:
    """Write the matching records to a file or stdout, and return their number."""
    total = store.count(where)
    pages = _read_pages(store, where, total, meter)
    if kind == "parquet" and file == "-" and sys.stdout.isatty():
        raise Failure("Parquet cannot be printed on a terminal. Give a FILE, or redirect stdout.")
    described = ExportHeader.describe(store, vectors=vectors)
    write = _write_json_lines if kind == "jsonl" else _write_parquet
    with _open_output(file, overwrite=overwrite) as stream:
        count = write(pages, stream, described, header=header)
        if store.schema.differences(described.schema) or store.embedder_config != described.config:
            raise Failure(f"Store {store.name!r} was rebuilt during the export. Run the command again.", STORAGE)
    return count


def _read_pages(
    store: VectorStore, where: Mapping[str, Any] | None, total: int, meter: Meter
) -> Iterator[list[Record]]:
    records, done = store.scan(where, batch_size=_PAGE), 0
    while page := list(islice(records, _PAGE)):
        yield page
        done += len(page)
        meter.move(max(done, total), 0, done, done)


@contextmanager
def _open_output(file: str, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """Yield a stream to write to. A file gets its name when it is complete."""
    if file == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if os.path.lexists(file) and not overwrite:
        raise Failure(f"{file} exists. Choose another name, or add --overwrite.")
    directory = os.path.dirname(file) or "."
    if not os.path.isdir(directory):
        raise Failure(f"{file}: there is no directory {directory}. Make it, or choose another place.")
    part = f"{file}.{secrets.token_hex(4)}.part"
    try:
        stream = open(part, "xb")  # noqa: SIM115 - an error here is one of the directory
    except FileNotFoundError as error:
        raise Failure(f"{directory}: no file can be made there.", STORAGE) from error
    except OSError as error:
        raise Failure(f"{file}: {describe_os_error(error)}.", STORAGE) from error
    try:
        with stream:
            yield stream
        os.replace(part, file)
    except OSError as error:
        raise Failure(f"{file}: {describe_os_error(error)}.", STORAGE) from error
    finally:
        with suppress(OSError):
            os.unlink(part)


def _write_json_lines(
    pages: Iterator[Sequence[Record]], stream: IO[bytes], described: ExportHeader, *, header: bool
) -> int:
    count, vectors = 0, described.vectors
    if header:
        stream.write(dump_json(described.to_json()).encode() + b"\n")
    for page in pages:
        for record in page:
            stream.write(dump_json(record_to_json(record, vector=vectors)).encode() + b"\n")
        count += len(page)
    return count


def _write_parquet(
    pages: Iterator[Sequence[Record]], stream: IO[bytes], described: ExportHeader, *, header: bool
) -> int:
    schema, vectors = described.schema, described.vectors
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    declared = {name: each for name, each in schema.fields.items() if name != _REST}
    types = {Keyword: pa.string(), Keywords: pa.list_(pa.string()), Int: pa.int64(), Float: pa.float64(),
             Bool: pa.bool_(), DateTime: pa.timestamp("us", tz="UTC")}  # fmt: skip
    columns = [("id", pa.string()), ("text", pa.string())]
    number_type = pa.float16() if schema.dtype == "float16" else pa.float32()
    if vectors:
        columns.append(("vector", pa.list_(number_type, schema.width)))
    columns += [(name, pa.string() if _is_text(each) else types[type(each)]) for name, each in declared.items()]
    about = {KEY: dump_json(described.to_json()[KEY])} if header else None
    layout = pa.schema([*columns, (_REST, pa.string())], metadata=about)
    count = 0
    with parquet.ParquetWriter(pa.PythonFile(_CountingStream(stream), mode="w"), layout) as writer:
        for page in pages:
            arrays = _make_arrays(page, declared)
            if vectors:
                lacking = np.array([record.vector is None for record in page], np.bool_)
                matrix = np.zeros((len(page), schema.width), schema.dtype)
                for row in np.flatnonzero(~lacking).tolist():
                    matrix[row] = page[row].vector
                arrays["vector"] = pa.FixedSizeListArray.from_arrays(
                    pa.array(matrix.reshape(-1), number_type), schema.width, mask=pa.array(lacking)
                )
            writer.write_table(pa.table([arrays[name] for name in layout.names], schema=layout))
            count += len(page)
    return count


def _is_text(field: Field) -> bool:
    return isinstance(field, DateTime) and field.text


def _make_arrays(page: Sequence[Record], declared: Mapping[str, Field]) -> dict[str, Any]:
    arrays: dict[str, Any] = {
        "id": [record.id for record in page],
        "text": [record.text for record in page],
        _REST: [
            dump_json({key: value for key, value in record.metadata.items() if key not in declared}) for record in page
        ],
    }
    for name in declared:
        arrays[name] = [record.metadata.get(name) for record in page]
    return arrays


class _CountingStream:
    """A stream that knows its position, which a pipe does not."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._position = stream, 0

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        """Leave closing to the owner of the stream."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
