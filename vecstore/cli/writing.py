"""`vecstore add` and `vecstore delete`."""

from __future__ import annotations

import os
import time
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
from .encodings import Encoding, parse_encoding
from .exits import Failure
from .ingest import Ingestion
from .options import (
    DtypeName,
    EmbedderSpec,
    Fields,
    IdColumn,
    IndexKind,
    Json,
    MetricName,
    Name,
    PassageSize,
    TextColumn,
    Url,
    VectorColumn,
    Where,
    Yes,
    confirm,
    is_given,
    parse_where,
)
from .passages import DEFAULT_SIZE
from .recordfiles import RecordFile
from .report import Report, print_report
from .roots import check_one_command, check_roots, describe_root
from .sources import DOCUMENT_FIELDS, PASSAGE_KEYS, ColumnNames, Source, detect_kind
from .target import StoreRequest, Target
from .vector_columns import VectorFit

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
    index: IndexKind = None,
    batch_size: BatchSize = None,
    claim: Claim = False,
    yes: Certain = False,
    json: Json = False,
) -> None:
    """Add documents or records, and create the store if there is none.

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
    check_paths(paths)
    with connect(url) as database:
        documents = name not in database.names() and any(_is_document(path) for path in paths)
        wanted = {**DOCUMENT_FIELDS, **fields} if documents else fields
        wish = StoreRequest(wanted, dim, metric, dtype, index_options)
        given = frozenset(part for part in ("id", "text", "vector") if is_given(context, f"{part}_column"))
        target = Target(database, name, wish, embedder, says_model=is_given(context, "embedder"), claim=claim)
        reader = PathReader(
            ColumnNames(id_column, text_column, vector_column, given), target.fields, glob or (), passage_size, folder,
            parse_encoding(encoding), target.vector_fit,
        )  # fmt: skip
        sources = reader.sources(paths)
        if target.store is not None:
            places = [source for source in sources if isinstance(source, Documents)]
            check_roots(target.store, places, same_place=same_place)
        ingestion = Ingestion(target, batch_size, skip_bad=skip_bad, same_place=same_place)
        try:
            with progress.meter("Adding", quiet=json) as meter:
                ingest_all(ingestion, sources, meter, certain=yes)
        except KeyboardInterrupt:
            output.note(f"{ingestion.report.written:,} records were written. Run the same command again to continue.")
            raise
        _print_outcome(name, target, ingestion.report, time.monotonic() - began, machine=json)


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
    encoding: str | None
    fit: VectorFit

    def sources(self, paths: Sequence[str]) -> list[Source]:
        """Return the source of each path.

        Raises
        ------
        Failure
            Two directories would be stored under one name, or the name cannot be stored.
        """
        folder = _check_folder(self.folder)
        sources: list[Source] = []
        places: dict[Path, tuple[Documents, str]] = {}
        for path in paths:
            if not _is_document(path):
                sources.append(self._open_records(path))
            elif Path(path).resolve() not in places:
                place = self._open_documents(Path(path).resolve(), folder)
                places[place.path] = (place, path)
                sources.append(place)
        check_one_command(list(places.values()))
        return sources

    def _open_records(self, path: str) -> RecordFile:
        place = None if _is_stdin(path) else Path(path)
        kind = detect_kind(place) if place else "jsonl"
        return RecordFile(place, kind or "jsonl", self.columns, self.fields, self.encoding, self.fit)

    def _open_documents(self, path: Path, folder: str | None) -> Documents:
        check_document_fields(self.fields)
        directory = path if path.is_dir() else path.parent
        root = describe_root(directory)
        name = folder or directory.name or "root"
        return Documents(path, name, root, self.patterns, self.passage_size, self.encoding, fields=self.fields)


def check_paths(paths: Sequence[str]) -> None:
    """Refuse paths that do not exist, before a database is opened.

    Raises
    ------
    Failure
    """
    missing = [path for path in paths if not _is_stdin(path) and not os.path.exists(path)]
    if missing:
        raise Failure(f"{missing[0]}: there is no such file.")
    if paths.count("-") > 1:
        raise Failure("'-' was given twice, but stdin can be read only once.")


def check_document_fields(fields: Mapping[str, Field]) -> None:
    """Refuse a store that declares a key of every passage as something else.

    Raises
    ------
    Failure
    """
    for name in PASSAGE_KEYS:
        declared, wanted = fields.get(name), DOCUMENT_FIELDS[name]
        if declared is not None and declared != wanted:
            raise Failure(
                f"Passages of documents have a {wanted.kind} {name!r}, which is declared as {declared.kind}. "
                "Add documents to a store of their own."
            )


def _check_folder(folder: str | None) -> str | None:
    if folder is None:
        return None
    name = folder.strip("/")
    if not name.strip() or any(part in {"", ".", ".."} for part in name.split("/")):
        raise Failure(f"--as {folder!a} is no name for a directory. Give a word, such as --as handbook.")
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise Failure(f"--as {folder!a} is not UTF-8.")
    return name


def ingest_all(ingestion: Ingestion, sources: Sequence[Source], meter: progress.Meter, *, certain: bool) -> None:
    """Write all sources into the store, then remove passages that are gone from documents."""
    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    done = 0
    for source, size in zip(sources, sizes, strict=True):
        ingestion.ingest(source, partial(meter.move, total, done))
        done += size or 0
    for source in sources:
        ingestion.report.notes += source.notes
        if isinstance(source, Documents):
            ingestion.remove_gone(source, certain=certain)


def _is_stdin(path: str) -> bool:
    return path == "-"


def _is_document(path: str) -> bool:
    return not _is_stdin(path) and (os.path.isdir(path) or detect_kind(Path(path)) is None)


def _print_outcome(name: str, target: Target, report: Report, seconds: float, *, machine: bool) -> None:
    created = target.created
    if machine:
        figures = {"store": name, "created": created, **report.to_json(), "seconds": round(seconds, 3)}
        output.print_json(figures)
    else:
        print_report(report, name, seconds, created=created, exists=target.store is not None)
    if target.store is None:
        raise Failure(f"There was nothing to add, so store {name!r} was not created.")
