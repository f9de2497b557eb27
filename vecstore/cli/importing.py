"""`vecstore import`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from .. import connect
from ..importers.imported import Imported
from ..importers.kinds import KINDS, make_source
from ..importers.transfer import import_records
from ..names import check_name
from . import output, progress
from .declarations import parse_fields, parse_index
from .embedder_choice import load_embedder
from .exits import Failure
from .options import DtypeName, Dynamic, Fields, IndexKind, Json, MetricName, Name, Url, VectorsName
from .writing import check_durable

_EXAMPLES = 3

Place = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="Where the records are: a URL, a directory or a file.", show_default=False),
]
Kind = Annotated[
    str, typer.Option("--from", metavar="KIND", help=f"What the source is: {', '.join(KINDS)}.", show_default=False)
]
Collection = Annotated[
    str | None,
    typer.Option("--table", "--collection", metavar="NAME", help="The table, collection or index in the source."),
]
IdColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column or key that holds ids.")]
TextColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column or key that holds texts.")]
VectorColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column or key that holds vectors.")]
MetadataColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="A column of objects, whose keys become keys of metadata.")
]
SkipColumn = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="pgvector: a column to leave out; repeat it for each.")
]
Records = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="faiss: the records that belong to the vectors: .jsonl, .json, .parquet."),
]
NumberColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="faiss: the key of FAISS's numbers in the records.")
]
Dim = Annotated[int | None, typer.Option(metavar="N", min=1, help="Take only vectors of this length.")]
# Not from VECSTORE_EMBEDDER, which does not say who made the vectors.
Model = Annotated[
    str | None, typer.Option("--embedder", "-e", metavar="NAME[:MODEL]", help="The model that made the vectors.")
]


def import_(
    url: Url,
    name: Name,
    source: Place,
    kind: Kind,
    collection: Collection = None,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    vector_column: VectorColumn = None,
    metadata_column: MetadataColumn = None,
    skip_column: SkipColumn = None,
    records: Records = None,
    number_column: NumberColumn = None,
    field: Fields = None,
    dynamic: Dynamic = None,
    dim: Dim = None,
    metric: MetricName = None,
    dtype: DtypeName = None,
    vectors: VectorsName = None,
    index: IndexKind = None,
    embedder: Model = None,
    json: Json = False,
) -> None:
    """Copy the records of another library into a store.

    The source is only read. The store is made if it is new, and a record with a known id is replaced, so the
    same command can be run again. What is left out is listed with the reason. Without --no-dynamic, filters
    on a new store can use any metadata.

    For example:
      vecstore import file:./kb documents postgresql://localhost/app --from pgvector --table documents --metric cosine
      vecstore import file:./kb notes postgresql://localhost/app --from langchain-postgres --table notes --metric cosine
    """
    check_name(name, "Store")
    given = {
        "name": collection, "id": id_column, "text": text_column, "vector": vector_column, "metadata": metadata_column,
        "skip": tuple(skip_column) if skip_column else None, "records": records, "number": number_column,
    }  # fmt: skip
    origin = make_source(kind, source, {part: each for part, each in given.items() if each is not None})
    fields, options = parse_fields(field or []), parse_index(index, None, None, None)
    model = None if embedder is None else load_embedder(embedder)
    with connect(url) as database:
        check_durable(database)
        try:
            with progress.meter("Importing", quiet=json) as meter:
                done = import_records(
                    database, name, origin,
                    metric=metric, dim=dim, dtype=dtype, vectors=vectors, fields=fields or None, dynamic=dynamic,
                    index=options, embedder=model, on_progress=meter,
                )  # fmt: skip
        except KeyboardInterrupt:
            output.note("What was imported is stored. Run the same command again to continue.")
            raise
    _print_imported(done, machine=json)


import_.__name__ = "import"  # the word is Python's


def _print_imported(done: Imported, *, machine: bool) -> None:
    if machine:
        output.print_json(asdict(done))
    else:
        records = f"{done.records:,} {'record' if done.records == 1 else 'records'}"
        where = f"the new store {done.store}" if done.created else done.store
        if done.records:
            output.say(
                f"Imported {records} into {where} ({done.dim} dimensions, {done.metric}) in {done.seconds:.1f} s."
            )
        for each in done.left_out:
            shown = ", ".join(each.ids[:_EXAMPLES])
            more = f" and {each.count - _EXAMPLES:,} more" if each.count > _EXAMPLES else ""
            output.note(output.escape_controls(f"Left out {each.count:,}: {each.reason}: {shown}{more}"))
        for text in done.notes:
            output.note(output.escape_controls(f"Note: {text}"))
    if not done.records:
        raise Failure(f"Nothing could be imported{'' if done.left_out else ': the source has no records'}.")
