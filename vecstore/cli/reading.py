"""`vecstore search`, `get`, `count`, `digest` and `export`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from .. import connect
from ..hits import Hits
from ..query_texts import check_query_texts
from ..registry import schemes
from ..urls import read_local_path
from . import output, progress
from .embedder_choice import check_guess, load_embedder
from .exits import NEGATIVE, Failure
from .exports import choose_format, export_to
from .options import EmbedderSpec, Json, Name, Url, Where, parse_json, parse_where


def search(
    url: Url,
    name: Name,
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="The text to search for.", show_default=False)
    ] = None,
    k: Annotated[
        int, typer.Option("-k", "--limit", metavar="N", min=1, max=10_000, help="How many records to find.")
    ] = 10,
    offset: Annotated[
        int,
        typer.Option(metavar="N", min=0, max=10_000, help="Leave out the best hits: -k 10 --offset 10 is page two."),
    ] = 0,
    where: Where = None,
    min_score: Annotated[float | None, typer.Option(metavar="SCORE", help="Leave out hits with a lower score.")] = None,
    like: Annotated[str | None, typer.Option(metavar="ID", help="Find records near this one; needs no model.")] = None,
    vector: Annotated[str | None, typer.Option(metavar="JSON", help="Search with this list of numbers.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every record, without the index.")] = False,
    ef: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1_000, help="Search effort of the index, instead of the calibrated one."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show complete texts.")] = False,
    embedder: EmbedderSpec = None,
    json: Json = False,
) -> None:
    """Find the records nearest to a question, best first.

    The first number is the rank, the second the score: larger is nearer.

    For example:
      vecstore search file:./kb articles "solar power at night" -k 5
      vecstore search file:./kb articles storage --where '{"lang": "en"}'
      vecstore search file:./kb articles --like a1 --json
    """
    if [query is not None, like is not None, vector is not None].count(True) != 1:
        raise Failure("Give exactly one of QUERY, --like ID and --vector JSON.")
    condition = parse_where(where)
    began = time.monotonic()
    with connect(url) as database:
        store = database.open(name)
        if like is not None:
            hits = store.similar_to(like, k, offset=offset, where=condition, min_score=min_score, ef=ef, exact=exact)
        else:
            if query is not None:
                check_query_texts([query])  # before a model is loaded
                check_guess(store, embedder)
                store = database.open(name, embedder=load_embedder(embedder))
            asked = _parse_numbers(vector) if vector is not None else query or ""
            hits = store.search(asked, k, offset=offset, where=condition, min_score=min_score, ef=ef, exact=exact)
    if json:
        output.print_json(output.hits_to_json(hits))
    else:
        output.print_hits(hits, full=full, first=offset + 1)
        output.note(_describe_hits(hits, time.monotonic() - began))


def get(
    url: Url,
    name: Name,
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of records.", show_default=False)],
    vectors: Annotated[bool, typer.Option("--vectors", help="Show vectors too.")] = False,
    json: Json = False,
) -> None:
    """Show records by their ids.

    The exit code is 1 if one of them does not exist.

    For example:
      vecstore get file:./kb articles a1
    """
    with connect(url) as database:
        found = dict(zip(ids, database.open(name).get(ids), strict=True))
    absent = [id_ for id_, record in found.items() if record is None]
    records = [record for record in found.values() if record is not None]
    if json:
        shown = [output.record_to_json(record, vector=vectors) for record in records]
        output.print_json({"records": shown, "absent": absent})
    else:
        for record in records:
            output.print_record(record, vector=vectors)
        for id_ in absent:
            output.note(output.escape_controls(f"There is no record {id_}."))
    if absent:
        raise typer.Exit(NEGATIVE)


def count(url: Url, name: Name, where: Where = None, json: Json = False) -> None:
    """Count records, all or those that a filter matches.

    For example:
      vecstore count file:./kb articles --where '{"year": {"$gte": 2020}}'
    """
    with connect(url) as database:
        number = database.open(name).count(parse_where(where))
    if json:
        output.print_json({"store": name, "count": number})
    else:
        output.say(str(number))


def digest(url: Url, name: Name, where: Where = None, json: Json = False) -> None:
    """Print the digest of a store's records.

    These are 64 hex digits, and nothing else: the same for the same records on every backend, which proves a
    copy. Ids, vectors, texts, metadata and versions count.

    For example:
      vecstore digest file:./kb articles
      vecstore digest file:./kb articles --where '{"lang": "en"}'
    """
    with connect(url) as database:
        found = database.open(name).digest(parse_where(where))
    if json:
        output.print_json({"store": name, "digest": found})
    else:
        output.say(found)


def export(
    url: Url,
    name: Name,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write; - is stdout.")] = "-",
    format: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="jsonl or parquet; by default the file's ending decides."
        ),
    ] = None,
    where: Where = None,
    no_vectors: Annotated[bool, typer.Option("--no-vectors", help="Leave vectors out.")] = False,
    no_header: Annotated[
        bool, typer.Option("--no-header", help="Leave out the description of the store, for other programs.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    json: Json = False,
) -> None:
    """Write records to a JSON lines or Parquet file.

    `vecstore add` makes the same store of it: the first line of JSON lines, and metadata of a Parquet file,
    describe the schema and the model. Records come in the order of their ids. Nothing else is printed on
    stdout.

    For example:
      vecstore export file:./kb articles articles.parquet
      vecstore export file:./kb articles --where '{"lang": "en"}' --no-header | head -3
    """
    file = file if file == "-" else read_local_path(file, schemes())
    kind = choose_format(file, format)
    condition = parse_where(where)
    with connect(url) as database:
        store = database.open(name)
        with progress.meter("Exporting", quiet=json) as meter:
            number = export_to(
                store,
                file,
                kind,
                condition,
                vectors=not no_vectors,
                header=not no_header,
                overwrite=overwrite,
                meter=meter,
            )
    if file == "-":
        return
    if json:
        output.print_json({"store": name, "file": file, "format": kind, "records": number})
    else:
        output.say(output.escape_controls(f"Wrote {number:,} {'record' if number == 1 else 'records'} to {file}."))


def _parse_numbers(text: str) -> list[float]:
    value = parse_json(text, "--vector", "'[0.1, -2, 3]'")
    if not isinstance(value, list) or not all(type(number) in (int, float) for number in value):
        raise Failure("--vector is not a list of numbers. Write it like '[0.1, -2, 3]'.")
    return value


def _describe_hits(hits: Hits, seconds: float) -> str:
    found = f"{len(hits):,} {'hit' if len(hits) == 1 else 'hits'}" if len(hits) else "Nothing found"
    kind = "exact" if hits.exact else "approximate"
    return f"{found} ({kind}{'' if hits.complete else ', there may be more'}) in {seconds:.2f} s"
