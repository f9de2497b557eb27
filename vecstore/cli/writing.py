"""`vecstore add` and `vecstore delete`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import ALL, Database, connect
from ..names import check_name
from . import output, progress
from .declarations import parse_fields, parse_index
from .documents import Documents
from .encodings import Encoding, parse_encoding
from .exits import Failure
from .export_header import ExportHeader
from .ingest import Ingestion, ingest_all
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
    PassageSize,
    TextColumn,
    Url,
    VectorColumn,
    VectorsName,
    Where,
    Yes,
    confirm,
    is_given,
    parse_where,
)
from .origins import Origins
from .passages import DEFAULT_SIZE
from .paths import PathReader, check_paths, holds_documents, holds_records
from .report import Report, print_report
from .roots import check_roots
from .sources import ColumnNames, Source
from .target import StoreRequest, Target

_SHOWN = 5

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH", help="Directories, documents such as PDF, files of records such as CSV; - is JSONL from stdin."
    ),
]
Globs = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="Files to read in directories, such as '*.py'.")
]
FolderName = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        help="The name under which this directory is stored, which ids begin with; by default the directory's own.",
    ),
]
SamePlace = Annotated[
    bool,
    typer.Option(
        "--same-place", help="What is stored under this name came from here, though the directory was elsewhere then."
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out records that cannot be stored, and list them.")]
Dim = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Dimensions of a new store; by default those of the vectors.")
]
BatchSize = Annotated[int | None, typer.Option(metavar="N", min=1, max=100_000, help="Records in one commit.")]
Claim = Annotated[
    bool, typer.Option("--claim", help="Say that the given vectors of an existing store are of this embedder.")
]
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
    dynamic: Dynamic = None,
    glob: Globs = None,
    passage_size: PassageSize = DEFAULT_SIZE,
    folder: FolderName = None,
    same_place: SamePlace = False,
    id_column: IdColumn = "id",
    text_column: TextColumn = "text",
    vector_column: VectorColumn = "vector",
    encoding: Encoding = None,
    skip_bad: SkipBad = False,
    dim: Dim = None,
    metric: MetricName = None,
    dtype: DtypeName = None,
    vectors: VectorsName = None,
    index: IndexKind = None,
    partitions: Partitions = None,
    batch_size: BatchSize = None,
    claim: Claim = False,
    yes: Certain = False,
    json: Json = False,
) -> None:
    """Add documents or records; makes the store if it is new.

    Documents are split into passages; what is not read is named with the reason. Adding a directory again
    writes changed passages and removes those that are gone. Ids are name/path#number, and each passage
    stores its directory's absolute path as root: another directory of the same name is refused, unless
    --as gives it another one. In files of records, every column except id, text and vector is metadata,
    and a record with a known id is replaced.

    For example:
      vecstore add file:./kb notes docs/
      vecstore add file:./kb articles news.jsonl --field lang:keyword --field year:int
      zcat big.jsonl.gz | vecstore add file:./kb articles - --text-column body
    """
    began = time.monotonic()
    fields = parse_fields(field or [])
    index_options = parse_index(index, None, None, None)
    check_name(name, "Store")
    check_paths(paths)
    _check_options(context, paths)
    given = frozenset(part for part in ("id", "text", "vector") if is_given(context, f"{part}_column"))
    columns = ColumnNames(id_column, text_column, vector_column, given)
    origins = Origins.read(paths, parse_encoding(encoding))
    origin = origins.find_common(given)
    with connect(url) as database:
        check_durable(database)
        if origin and _is_taken_whole(context, paths, origin) and name not in database.names():
            _create_whole(database, name, paths[0], origin, began, machine=json)
            return
        wish = StoreRequest(
            fields, dim, metric, dtype, vectors, index_options, origin, holds_documents(paths), dynamic, partitions
        )
        target = Target(database, name, wish, embedder, says_model=is_given(context, "embedder"), claim=claim)
        reader = PathReader(
            columns, target.fields, glob or (), passage_size, folder,
            parse_encoding(encoding), target.vector_fit, origins,
        )  # fmt: skip
        sources = reader.sources(paths)
        if target.store is not None:
            places = [source for source in sources if isinstance(source, Documents)]
            check_roots(target.store, places, same_place=same_place)
        ingestion = Ingestion(target, batch_size, skip_bad=skip_bad, same_place=same_place)
        ingestion.report.notes += target.notes
        _ingest(ingestion, target, sources, certain=yes, quiet=json)
        _print_outcome(name, target, ingestion.report, time.monotonic() - began, machine=json)
        _check_all_read(sources)


def _is_taken_whole(context: typer.Context, paths: Sequence[str], origin: ExportHeader) -> bool:
    """Say whether a new store is to be all of one export and nothing else: proven by its digest, versions included."""
    options = [name for name in context.params if name not in {"url", "name", "paths", "json", "yes"}]
    is_plain = len(paths) == 1 and not any(is_given(context, name) for name in options)
    return is_plain and origin.digest is not None and origin.vectors


def _create_whole(
    database: Database, name: str, path: str, origin: ExportHeader, began: float, *, machine: bool
) -> None:
    with progress.meter("Adding", quiet=machine) as meter:
        database.create_from(name, path, on_progress=meter)
    report = Report()
    report.note_created(origin.records or 0)
    _print_figures(name, report, time.monotonic() - began, machine=machine, created=True, exists=True)


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


_OF_DOCUMENTS = {"glob": "--glob", "passage_size": "--passage-size", "folder": "--as"}
_OF_RECORDS = {"id_column": "--id-column", "text_column": "--text-column", "vector_column": "--vector-column"}


def _check_options(context: typer.Context, paths: Sequence[str]) -> None:
    """Refuse an option that none of the paths would obey."""
    for options, kind, other, applies in (
        (_OF_DOCUMENTS, "documents", "files of records", holds_documents(paths)),
        (_OF_RECORDS, "files of records", "documents", holds_records(paths)),
    ):
        given = [option for parameter, option in options.items() if is_given(context, parameter)]
        if given and not applies:
            raise Failure(f"{given[0]} is for {kind}, and PATH names {other} only. Leave it out.")


def check_durable(database: Database) -> None:
    """Refuse a database that ends with the command."""
    if not database.capabilities.durable:
        raise Failure(
            f"A {database.capabilities.backend}: database ends with this command, and what was added would be lost. "
            "Give a place that lasts, such as file:./kb."
        )


def _ingest(ingestion: Ingestion, target: Target, sources: Sequence[Source], *, certain: bool, quiet: bool) -> None:
    try:
        with progress.meter("Adding", quiet=quiet) as meter, ingestion.loading():
            ingestion.on_progress = meter.show_phase
            ingest_all(ingestion, sources, meter, certain=certain)
        if not ingestion.report.read and not ingestion.report.skipped:
            target.create_empty()
    except KeyboardInterrupt:
        output.note(f"{ingestion.report.written:,} records were written. Run the same command again to continue.")
        raise


def _check_all_read(sources: Sequence[Source]) -> None:
    """Fail where a file that was named was refused: a script must not take it for stored."""
    refused = [str(source.path) for source in sources if isinstance(source, Documents) and source.is_refused]
    if refused:
        more = f" and {len(refused) - _SHOWN:,} more" if len(refused) > _SHOWN else ""
        raise Failure(f"Not read, for the reason above: {', '.join(refused[:_SHOWN])}{more}.")


def _print_outcome(name: str, target: Target, report: Report, seconds: float, *, machine: bool) -> None:
    exists = target.store is not None
    _print_figures(name, report, seconds, machine=machine, created=target.created, exists=exists)
    if not exists:
        raise Failure(f"There was nothing to add, so store {name!r} was not created.")


def _print_figures(name: str, report: Report, seconds: float, *, machine: bool, created: bool, exists: bool) -> None:
    if machine:
        output.print_json({"store": name, "created": created, **report.to_json(), "seconds": round(seconds, 3)})
    else:
        print_report(report, name, seconds, created=created, exists=exists)
