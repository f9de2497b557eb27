"""`vecstore add` and `vecstore delete`."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .. import ALL, connect
from ..fields import Field
from . import output, progress
from .declarations import parse_fields, parse_index
from .documents import Documents
from .exits import Failure
from .ingest import Ingestion, Report
from .options import (
    DtypeName,
    EmbedderSpec,
    Fields,
    IndexKind,
    Json,
    MetricName,
    Name,
    Url,
    Where,
    Yes,
    confirm,
    parse_where,
)
from .passages import DEFAULT_SIZE, MAX_SIZE, MIN_SIZE
from .recordfiles import RecordFile
from .sources import DOCUMENT_FIELDS, ColumnNames, Skipped, Source, detect_kind
from .target import StoreRequest, Target

_EXAMPLES = 3

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH", help="Directories, text, Markdown, JSONL, CSV or Parquet files; - is JSONL from stdin."
    ),
]
Globs = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="Files to read in directories, such as '*.py'.")
]
PassageSize = Annotated[
    int,
    typer.Option(
        metavar="N", min=MIN_SIZE, max=MAX_SIZE, help="Maximum number of characters in a passage of a document."
    ),
]
FolderName = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="The beginning of ids, instead of the directory's name.")
]
IdColumn = Annotated[str, typer.Option(metavar="COLUMN", help="The column or key that holds ids.")]
TextColumn = Annotated[str, typer.Option(metavar="COLUMN", help="The column or key that holds texts.")]
VectorColumn = Annotated[str, typer.Option(metavar="COLUMN", help="The column or key that holds vectors.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out records that cannot be stored, and list them.")]
Dim = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Dimensions of a new store; by default those of the vectors.")
]
BatchSize = Annotated[int | None, typer.Option(metavar="N", min=1, max=100_000, help="Records in one commit.")]
Certain = Annotated[
    bool, typer.Option("--yes", "-y", help="Remove passages of files that are gone, even of most files.")
]


def add(
    context: typer.Context,
    url: Url,
    name: Name,
    paths: Paths,
    embedder: EmbedderSpec = None,
    field: Fields = None,
    glob: Globs = None,
    passage_size: PassageSize = DEFAULT_SIZE,
    folder: FolderName = None,
    id_column: IdColumn = "id",
    text_column: TextColumn = "text",
    vector_column: VectorColumn = "vector",
    skip_bad: SkipBad = False,
    dim: Dim = None,
    metric: MetricName = None,
    dtype: DtypeName = None,
    index: IndexKind = None,
    batch_size: BatchSize = None,
    yes: Certain = False,
    json: Json = False,
) -> None:
    """Add documents or records, and create the store if there is none.

    Text and Markdown files of a directory are split into passages. Adding it again writes changed passages
    and removes those that are gone. In files of records, every column except id, text and vector is
    metadata, and a record with a known id is replaced.

    For example:
      vecstore add file:./kb notes docs/
      vecstore add file:./kb articles news.jsonl --field lang:keyword --field year:int
      zcat big.jsonl.gz | vecstore add file:./kb articles - --text-column body
    """
    began = time.monotonic()
    fields = parse_fields(field or [])
    with connect(url) as database:
        new = name not in database.names()
        documents = new and any(_is_document(path) for path in paths)
        wanted = {**DOCUMENT_FIELDS, **fields} if documents else fields
        wish = StoreRequest(wanted, dim, metric, dtype, parse_index(index, None, None, None))
        named = getattr(context.get_parameter_source("embedder"), "name", "") == "COMMANDLINE"
        target = Target(database, name, wish, embedder, says_model=named)
        reader = PathReader(
            ColumnNames(id_column, text_column, vector_column), target.fields, glob or (), passage_size, folder
        )
        ingestion = Ingestion(target, batch_size, skip_bad=skip_bad)
        try:
            with progress.meter("Adding", quiet=json) as meter:
                ingest_all(ingestion, reader.sources(paths), meter, certain=yes)
        except KeyboardInterrupt:
            output.note(f"{ingestion.report.written:,} records were written. Run the same command again to continue.")
            raise
        _print_report(name, target, ingestion.report, time.monotonic() - began, machine=json)


def delete(
    url: Url,
    name: Name,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of records.", show_default=False)] = None,
    where: Where = None,
    all_: Annotated[bool, typer.Option("--all", help="Remove every record; keep the store.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove records: by id, by a filter, or all.

    Unknown ids are ignored. The number of removed records is printed.

    For example:
      vecstore delete file:./kb articles a1 a2
      vecstore delete file:./kb articles --where '{"year": {"$lt": 2000}}'
    """
    if [bool(ids), where is not None, all_].count(True) != 1:
        raise Failure("Give exactly one of ids, --where and --all.")
    condition = ALL if all_ else parse_where(where)
    with connect(url) as database:
        store = database.open(name)
        if all_:
            confirm(f"Remove all {store.count():,} records of {name}?", yes=yes)
        count = store.delete(ids=ids or None, where=condition)
    if json:
        output.print_json({"store": name, "deleted": count})
    else:
        output.say(f"Removed {count:,} {'record' if count == 1 else 'records'} from {name}.")


@dataclass(frozen=True)
class PathReader:
    """The options for reading the paths of `add`."""

    columns: ColumnNames
    fields: Mapping[str, Field]
    patterns: Sequence[str]
    passage_size: int
    folder: str | None

    def sources(self, paths: Sequence[str]) -> list[Source]:
        """Return the source of each path.

        Raises
        ------
        Failure
            A path does not exist, or two directories would give the same ids.
        """
        missing = [path for path in paths if not _is_stdin(path) and not os.path.exists(path)]
        if missing:
            raise Failure(f"{missing[0]}: there is no such file.")
        if paths.count("-") > 1:
            raise Failure("'-' was given twice, but stdin can be read only once.")
        sources = [self._source(path) for path in paths]
        folders = [source.folder for source in sources if isinstance(source, Documents) and source.whole_folder]
        twice = [folder for folder, count in Counter(folders).items() if count > 1]
        if twice:
            raise Failure(f"Two directories are called {twice[0]!a}: add them one by one, with --as NAME.")
        return sources

    def _source(self, path: str) -> Source:
        if not _is_document(path):
            place = None if _is_stdin(path) else Path(path)
            kind = detect_kind(place) if place else "jsonl"
            return RecordFile(place, kind or "jsonl", self.columns, self.fields)
        found = Path(path)
        resolved = found.resolve()
        folder = self.folder or (resolved.name if found.is_dir() else resolved.parent.name) or "root"
        return Documents(found, folder, self.patterns, self.passage_size, fields=self.fields)


def ingest_all(ingestion: Ingestion, sources: Sequence[Source], meter: progress.Meter, *, certain: bool) -> None:
    """Write all sources into the store, then remove passages that are gone from documents."""
    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    done = 0
    for source, size in zip(sources, sizes, strict=True):
        ingestion.ingest(source, partial(meter.move, total, done))
        done += size or 0
    for source in sources:
        if isinstance(source, Documents):
            ingestion.report.notes += source.notes
            ingestion.remove_gone(source, certain=certain)


def _is_stdin(path: str) -> bool:
    return path == "-"


def _is_document(path: str) -> bool:
    return not _is_stdin(path) and (os.path.isdir(path) or detect_kind(Path(path)) is None)


def _print_report(name: str, target: Target, report: Report, seconds: float, *, machine: bool) -> None:
    if machine:
        skipped = [{"place": each.place, "reason": each.reason, "bad": each.bad} for each in report.first_skipped]
        figures = {
            "store": name, "created": target.created and target.store is not None, "read": report.read,
            "written": report.written, "unchanged": report.unchanged, "removed": report.removed,
            "skipped": report.skipped, "first_skipped": skipped, "notes": report.notes, "seconds": round(seconds, 3),
        }  # fmt: skip
        output.print_json(figures)
    else:
        _print_for_people(name, target, report, seconds)
    if target.store is None:
        raise Failure(f"There was nothing to add, so store {name!r} was not created.")


def _print_for_people(name: str, target: Target, report: Report, seconds: float) -> None:
    parts = [f"{count:,} {what}" for count, what in (
        (report.unchanged, "unchanged"), (report.removed, "removed"), (report.skipped, "skipped")
    ) if count]  # fmt: skip
    beside = f" ({', '.join(parts)})" if parts else ""
    where = f"the new store {name}" if target.created else name
    if target.store is not None:
        output.say(f"Wrote {report.written:,} {_records(report.written)} to {where}{beside} in {seconds:.1f} s.")
    by_reason: dict[str, list[Skipped]] = {}
    for each in report.first_skipped:
        by_reason.setdefault(each.reason, []).append(each)
    if report.skipped:
        output.note(f"Skipped {report.skipped:,}:")
    for reason, entries in sorted(by_reason.items(), key=lambda entry: -len(entry[1])):
        shown = ", ".join(entry.place for entry in entries[:_EXAMPLES])
        more = f" and {len(entries) - _EXAMPLES:,} more" if len(entries) > _EXAMPLES else ""
        output.note(output.escape_controls(f"  {reason}: {shown}{more}"))
    for text in report.notes:
        output.note(output.escape_controls(f"Note: {text}"))


def _records(count: int) -> str:
    return "record" if count == 1 else "records"
