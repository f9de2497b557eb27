"""Writing a store as a Parquet file, whose metadata hold the schema, the model, and the digest of what was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from ..backend import EVERYTHING, Backend, Entry, Generation, Include, Rows, Superseded
from ..columns.arrow_input import import_pyarrow
from ..digest import Digest
from ..embedders.identity import Identity
from ..errors import SchemaMismatch
from ..filters.nodes import Filter
from ..lookup import find_again
from ..pages import read_pages
from ..progress import Progress
from .counting_stream import CountingStream
from .header import KEY, ExportHeader
from .parquet_layout import encode_rows, make_layout

_WITHOUT_VECTORS: Include = frozenset({"text", "metadata"})


@dataclass(frozen=True, slots=True)
class Exported:
    """What `VectorStore.export` wrote.

    Attributes
    ----------
    records : int
    digest : str
        Of these records; it stands in the file, too.
    """

    records: int
    digest: str


def write_parquet(
    backend: Backend,
    entry: Entry,
    where: Filter | None,
    stream: IO[bytes],
    *,
    vectors: bool,
    describe: bool,
    report: Progress | None = None,
) -> Exported:
    """Write the matching records of a store, page by page in constant memory.

    Parameters
    ----------
    backend : Backend
    entry : Entry
        As it was just looked up.
    where : Filter, optional
    stream : binary file
        It need not be seekable.
    vectors : bool
    describe : bool
        Whether the file says what it is, and has the versions.
    report : callable, optional

    Raises
    ------
    SchemaMismatch
        The store was rebuilt meanwhile.
    MissingExtra
    """
    pa = import_pyarrow()
    from pyarrow import parquet

    generation = entry.active
    identity = None if generation.identity is None else Identity.from_json(generation.identity)
    header = ExportHeader(entry.name, generation.schema, identity, vectors)
    layout = make_layout(generation.schema, vectors=vectors, versions=describe)
    total = backend.count(generation, where) if report else 0
    found = Digest(generation.schema, vectors=vectors)
    target = pa.PythonFile(CountingStream(stream), mode="w")
    with parquet.ParquetWriter(target, layout, write_page_checksum=True) as writer:
        for rows in _read(backend, entry, where, EVERYTHING if vectors else _WITHOUT_VECTORS):
            writer.write_batch(encode_rows(rows, generation.schema, layout))
            found.add(rows)
            if report:
                report("writing", found.records, max(found.records, total))
        _check_model(backend, entry, generation)
        if describe:
            whole = replace(header, records=found.records, digest=str(found))
            writer.add_key_value_metadata({KEY: json.dumps(whole.to_json()[KEY])})
    return Exported(found.records, str(found))


def _read(backend: Backend, entry: Entry, where: Filter | None, include: Include) -> Iterator[Rows]:
    try:
        yield from read_pages(backend, entry.active, where, include)
    except Superseded:
        raise _report_rebuild(entry) from None


def _check_model(backend: Backend, entry: Entry, generation: Generation) -> None:
    """Refuse an export of a store that changed its schema or got a model in the meantime."""
    present = find_again(backend, entry).active
    if present.id != generation.id or present.identity != generation.identity:
        raise _report_rebuild(entry)


def _report_rebuild(entry: Entry) -> SchemaMismatch:
    return SchemaMismatch(f"Store {entry.name!r} was rebuilt during the export. Export it again.")
