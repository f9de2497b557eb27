"""Records as files: JSON lines, and Parquet with typed columns; `vecstore add` reads both back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from ..errors import SchemaMismatch
from ..exports.output_file import open_output
from ..records import Record
from ..store import VectorStore
from .exits import STORAGE, Failure
from .export_header import ExportHeader
from .output import dump_json, record_to_json
from .progress import Meter
from .sources import detect_kind, is_compressed

FORMATS = ("jsonl", "parquet")
_PAGE = 1_000


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
    if kind == "parquet" and file == "-" and sys.stdout.isatty():
        raise Failure("Parquet cannot be printed on a terminal. Give a FILE, or redirect stdout.")
    if kind == "parquet":
        return _write_parquet(store, file, where, vectors=vectors, header=header, overwrite=overwrite, meter=meter)
    total = store.count(where)
    pages = _read_pages(store, where, total, meter)
    described = ExportHeader(store.name, store.schema, store.embedder_identity, vectors)
    with _open_output(file, overwrite=overwrite) as stream:
        count = _write_json_lines(pages, stream, described, header=header)
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
    with open_output(file, overwrite=overwrite) as stream:
        yield stream


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
    store: VectorStore,
    file: str,
    where: Mapping[str, Any] | None,
    *,
    vectors: bool,
    header: bool,
    overwrite: bool,
    meter: Meter,
) -> int:
    try:
        with _open_output(file, overwrite=overwrite) as stream:
            return store.export(stream, where, vectors=vectors, describe=header, on_progress=meter).records
    except SchemaMismatch as error:
        raise Failure(str(error), STORAGE) from error
