"""`vecstore load`."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from enum import StrEnum
from importlib.util import find_spec
from typing import Annotated

import typer

from .. import connect
from ..bulk import Load, Ticket
from ..bulk.loads import begin
from ..bulk.workers import run_tasks
from ..errors import DuplicateId, MissingExtra, SchemaMismatch, StoreNotFound
from ..names import check_name
from ..schema import Schema
from . import output, progress
from .declarations import parse_fields, parse_index
from .encodings import Encoding, parse_encoding
from .exits import INTERRUPTED, Failure
from .load_journal import Journal, Stamp
from .load_task import FileReading, FileTask, load_file, read_first
from .options import (
    DtypeName,
    Dynamic,
    EmbedderSpec,
    Fields,
    IdColumn,
    IndexKind,
    Json,
    MetricName,
    Name,
    Partitions,
    TextColumn,
    Url,
    VectorColumn,
    VectorsName,
    is_given,
)  # fmt: skip
from .paths import check_paths
from .sources import ColumnNames
from .target import StoreRequest, Target
from .writing import Dim, check_durable


class Engine(StrEnum):
    """What runs the workers."""

    PROCESSES = "processes"
    RAY = "ray"


Files = Annotated[list[str], typer.Argument(metavar="FILE", help="Files of records: JSONL, JSON, CSV, Parquet.")]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=256, help="Worker processes; by default one for each processor.")
]
EngineName = Annotated[Engine, typer.Option(help="What runs the workers.")]
JournalPath = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="Note here which files are in, so that the same command goes on with the others.",
    ),
]


def load(
    context: typer.Context,
    url: Url,
    name: Name,
    files: Files,
    workers: Workers = None,
    engine: EngineName = Engine.PROCESSES,
    journal: JournalPath = None,
    embedder: EmbedderSpec = None,
    field: Fields = None,
    dynamic: Dynamic = None,
    id_column: IdColumn = "id",
    text_column: TextColumn = "text",
    vector_column: VectorColumn = "vector",
    encoding: Encoding = None,
    dim: Dim = None,
    metric: MetricName = None,
    dtype: DtypeName = None,
    vectors: VectorsName = None,
    index: IndexKind = None,
    partitions: Partitions = None,
    json: Json = False,
) -> None:
    """Load many files into a new store, with several processes.

    Each worker loads one file at a time. The store appears when all files are in and its index is built; if
    one record is invalid, nothing stays. To add to a store, or to load documents, use `vecstore add`. Where a model of
    torch embeds, set OMP_NUM_THREADS to each worker's share of the processors.

    For example:
      vecstore load file:./kb press news.jsonl --workers 2
      vecstore load file:./kb press *.jsonl --journal load.journal
    """
    began = time.monotonic()
    check_name(name, "Store")
    check_paths(files)
    _check_distinct(files)
    if engine is Engine.RAY and find_spec("ray") is None:
        raise MissingExtra("ray", "ray")
    given = frozenset(part for part in ("id", "text", "vector") if is_given(context, f"{part}_column"))
    wish = StoreRequest(
        parse_fields(field or []), dim, metric, dtype, vectors, parse_index(index, None, None, None),
        dynamic=dynamic, partitions=partitions,
    )  # fmt: skip
    columns = ColumnNames(id_column, text_column, vector_column, given)
    notes = None if journal is None else Journal(journal)
    if notes is not None:
        notes.check_files(files)
    says_model = is_given(context, "embedder")
    schema, model, reading, remarks = _plan(url, name, files[0], wish, embedder, columns, encoding, says=says_model)
    count = workers or os.cpu_count() or 1
    with (
        _explain_end(notes),
        progress.meter("Loading", quiet=json) as meter,
        _open(url, name, schema, model, notes, meter) as begun,
    ):
        ids = _load_files(begun, files, reading, count, engine, notes, meter)
        begun.confirm(ids)
    if notes is not None:
        notes.remove()
    _report(name, len(files), begun, time.monotonic() - began, machine=json)
    for remark in [] if json else remarks:
        output.note(output.escape_controls(f"Note: {remark}"))


@contextmanager
def _explain_end(journal: Journal | None) -> Iterator[None]:
    """Say what to do where a load ends before its end."""
    try:
        yield
    except DuplicateId:
        if journal is not None:  # nothing of the load is left
            journal.remove()
        raise
    except KeyboardInterrupt:
        if journal is None or journal.begun is None:
            raise
        raise Failure("Interrupted. The same command goes on with the files that are left.", INTERRUPTED) from None


def _check_distinct(files: Sequence[str]) -> None:
    seen: set[str] = set()
    for path in files:
        if os.path.realpath(path) in seen:
            raise Failure(f"{path} was given twice.")
        if path == "-" or os.path.isdir(path):
            raise Failure(f"{path} is no file. Name files of records; use `vecstore add` for stdin and directories.")
        seen.add(os.path.realpath(path))
    if not os.path.isfile(files[0]):
        raise Failure(
            f"{files[0]} is a pipe, and what is first is read twice. Save it as a file, or name another first."
        )


def _plan(
    url: str,
    name: str,
    first: str,
    wish: StoreRequest,
    embedder: str | None,
    columns: ColumnNames,
    encoding: str | None,
    *,
    says: bool,
) -> tuple[Schema, str | None, FileReading, list[str]]:
    """Learn from the first records what the store is to be, and whether texts are embedded; also what to say of it."""
    with connect(url) as database:
        check_durable(database)
        target = Target(database, name, wish, embedder, says_model=says)
        if target.store is not None:
            raise Failure(f"There is a store {name!r}. Load under another name, or add to it with `vecstore add`.")
        reading = FileReading(columns, target.fields, parse_encoding(encoding), target.vector_fit)
        opened = reading.open(first)
        records = read_first(opened)
        if not records:
            raise Failure(f"{first} has no records, so nothing says what the store is to be. Name another file first.")
        schema = target.prepare(records)
    from .embedder_choice import DEFAULT_EMBEDDER

    if target.embedder is None:
        reading = replace(reading, fit=replace(reading.fit, dim=schema.dim))
    elif not reading.fit.obstacle:
        reading = replace(reading, fit=replace(reading.fit, obstacle=f"the texts of {first} are embedded"))
    return schema, (embedder or DEFAULT_EMBEDDER) if target.embedder is not None else None, reading, opened.notes


@contextmanager
def _open(
    url: str, name: str, schema: Schema, embedder: str | None, journal: Journal | None, meter: progress.Meter
) -> Iterator[Load]:
    """Begin the load, or go on with the one of the journal."""
    known = None if journal is None else journal.begun
    resume = None if known is None else Ticket(url, name, known["uid"], known["generation"], embedder)
    if known is not None and known["name"] != name:
        raise Failure(f"The journal is that of a load of store {known['name']!r}. Give another --journal.")
    try:
        with begin(
            url, name, schema, embedder=embedder, resume=resume, keep=journal is not None, on_progress=meter
        ) as begun:
            yield begun
    except StoreNotFound:
        if resume is None:
            raise
        raise Failure(
            "There is nothing of the journal's load in this database. Give the URL with which it was begun, from the "
            "same directory if it is relative, or remove the journal to begin anew."
        ) from None
    except SchemaMismatch as error:
        raise Failure(
            f"{error} Give the same options and the same first file, or remove the journal to begin anew."
        ) from error


def _load_files(
    begun: Load,
    files: Sequence[str],
    reading: FileReading,
    workers: int,
    engine: Engine,
    journal: Journal | None,
    meter: progress.Meter,
) -> int:
    left = list(files) if journal is None else journal.begin(begun.ticket, files)
    sizes = {path: os.path.getsize(path) for path in files}
    stamps = {path: Stamp.read(path) for path in left}
    total, done = sum(sizes.values()), sum(sizes[path] for path in files if path not in left)
    ids = 0 if journal is None else sum(map(journal.count, files))
    with closing(_run([FileTask.make(begun.ticket, path, reading) for path in left], workers, engine)) as running:
        for task, written in running:
            if Stamp.read(task.path) != stamps[task.path]:
                raise Failure(f"{task.path} was changed while it was loaded. Load again when nobody writes to it.")
            ids += written
            done += sizes[task.path]
            if journal is not None:
                journal.note(task.path, stamps[task.path], written)
            meter.move(total, 0, done, ids)
    return ids


def _run(tasks: list[FileTask], workers: int, engine: Engine) -> Generator[tuple[FileTask, int]]:
    if engine is Engine.RAY:
        from ..bulk.ray_tasks import run_tasks_on_ray

        return run_tasks_on_ray(load_file, tasks, workers, _name)
    return run_tasks(load_file, tasks, min(workers, max(len(tasks), 1)), _name)


def _name(task: FileTask) -> str:
    return task.path


def _report(name: str, files: int, begun: Load, seconds: float, *, machine: bool) -> None:
    records = 0 if begun.result is None else begun.result.records
    if machine:
        output.print_json({"store": name, "files": files, "records": records, "seconds": round(seconds, 3)})
    else:
        counted = "1 record" if records == 1 else f"{records:,} records"
        named = "1 file" if files == 1 else f"{files:,} files"
        output.say(f"Loaded {counted} of {named} into the new store {name}.")
