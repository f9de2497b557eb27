"""Arguments and options that several commands share, and the parsing of their values."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from .exits import Failure
from .passages import MAX_SIZE, MIN_SIZE

Command = Callable[..., None]

Url = Annotated[
    str, typer.Argument(metavar="URL", help="The place of the stores, such as file:./kb or ~/kb.", show_default=False)
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Which store.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, also for errors (on stderr).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Where = Annotated[
    str | None,
    typer.Option("--where", "-w", metavar="JSON", help='A filter, such as \'{"year": {"$gte": 2020}, "lang": "en"}\'.'),
]
EmbedderSpec = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        "-e",
        metavar="NAME[:MODEL]",
        envvar="VECSTORE_EMBEDDER",
        help="The model that turns texts into vectors, such as sentence-transformers:all-MiniLM-L6-v2. "
        "By default wordllama.",
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="NAME:KIND",
        help="Declare a metadata field that filters can use; repeat it for each field. "
        "Kinds: keyword, keywords, int, float, bool, datetime; datetime:text for dates that are ISO 8601 text, "
        "datetime:naive=utc for dates without a time zone, datetime:text:naive=utc for both.",
    ),
]
Dynamic = Annotated[
    bool | None,
    typer.Option(
        "--dynamic/--no-dynamic", help="Whether filters can use metadata that is not declared.", show_default=False
    ),
]
IdColumn = Annotated[str, typer.Option(metavar="COLUMN", help="The column or key that holds ids.")]
TextColumn = Annotated[str, typer.Option(metavar="COLUMN", help="The column or key that holds texts.")]
VectorColumn = Annotated[str, typer.Option(metavar="COLUMN", help="The column or key that holds vectors.")]
PassageSize = Annotated[
    int,
    typer.Option(
        metavar="N", min=MIN_SIZE, max=MAX_SIZE, help="Maximum number of characters in a passage of a document."
    ),
]
MetricName = Annotated[
    str | None, typer.Option("--metric", metavar="METRIC", help="cosine (the default of a new store), ip or l2.")
]
DtypeName = Annotated[
    str | None,
    typer.Option("--dtype", metavar="DTYPE", help="How vectors are stored: float32, or float16 for half the space."),
]
VectorsName = Annotated[
    str | None,
    typer.Option(
        "--vectors", metavar="VECTORS", help="Whether every record has a vector: required (the default) or optional."
    ),
]
Partitions = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Into how many tables with a graph of their own the records are divided: a power of two up to 256. "
        "PostgreSQL only.",
        show_default=False,
    ),
]
IndexKind = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="KIND",
        help="hnsw (fast, approximate) or flat (exact); where vectors= in the URL names a Milvus server also its kinds "
        "with their options, such as ivf_flat,nlist=128.",
    ),
]


_WHERE = '\'{"lang": "en", "year": {"$gte": 2020}}\''


def parse_where(text: str | None) -> dict[str, Any] | None:
    """Return the filter that ``--where`` holds, in its dict form."""
    if text is None:
        return None
    value = parse_json(text, "--where", _WHERE)
    if not isinstance(value, dict):
        raise Failure(f"--where is not a JSON object. Write it like {_WHERE}.")
    if not value:
        raise Failure(f"--where is empty, which would match every record. Write it like {_WHERE}, or leave it out.")
    return value


def parse_json(text: str, option: str, example: str) -> Any:
    """Return the JSON value of an option; a duplicate key is refused, because one value would be lost."""
    try:
        return json.loads(text, object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        hint = f" Write it like {example}, in single quotes."
        raise Failure(f"{option} is not JSON: {error.msg} at column {error.colno}.{hint}") from error
    except (ValueError, RecursionError) as error:
        raise Failure(f"{option} is not JSON: {error}.") from error


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key is given twice")
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def is_given(context: typer.Context, parameter: str) -> bool:
    """Return whether the user wrote an option; a value of the environment does not count."""
    return getattr(context.get_parameter_source(parameter), "name", "") == "COMMANDLINE"


def confirm(question: str, *, yes: bool) -> None:
    """Ask before data are removed. Without a terminal to ask on, refuse.

    Raises
    ------
    Failure, typer.Abort
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure("This removes data and there is no terminal to ask on. Add --yes.")
    typer.confirm(question, abort=True, err=True)
