"""`vecstore info`, `verify`, `reindex`, `recall` and `rebuild`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from .. import connect
from ..database import Database
from ..rebuild import Rebuilt
from ..schema import Schema
from . import output
from .exits import NEGATIVE, Failure
from .options import DtypeName, Fields, IndexKind, Json, MetricName, Name, Url, Where, parse_where
from .places import embedder_config, load_embedder, parse_fields, parse_index


def info(url: Url, name: Name, json: Json = False) -> None:
    """Show what a store is: its schema, size, index and model.

    For example:
      vecstore info file:./kb articles
    """
    with connect(url) as database:
        store = database.open(name)
        stats, status = store.stats(), store.index_status()
        backend, schema, model = database.capabilities.backend, store.schema, embedder_config(store)
    if json:
        output.print_json(
            {
                "store": name, "backend": backend, "records": stats.records, "bytes": stats.bytes,
                "schema": schema.to_dict(), "index_status": asdict(status), "embedder": model,
                "details": dict(stats.details),
            }
        )  # fmt: skip
        return
    index = status.kind if status.state == "none" else f"{status.kind}, {status.state}"
    covered = f", {status.indexed:,} of {status.rows:,} records in it" if status.state != "none" else ""
    rows: list[tuple[str, str]] = [
        ("records", f"{stats.records:,}"),
        ("size", _bytes(stats.bytes)),
        ("vectors", f"{schema.dim} dimensions, {schema.metric.value}, {schema.dtype}"),
        ("index", f"{index}{covered}{'' if status.state != 'none' else ' (every search is exact)'}"),
        ("model", _model(model)),
        *((f"field {field}", each.kind) for field, each in schema.fields.items()),
        ("backend", backend),
        *((key, f"{value:,}" if isinstance(value, int) else str(value)) for key, value in stats.details.items()),
    ]
    output.print_pairs(name, rows)


def verify(
    url: Url,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which store; all of them when left out.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Check every stored byte.

    Exit code 1 when something is damaged; what it is stands in the output.

    For example:
      vecstore verify file:./kb
    """
    with connect(url) as database:
        names = database.names() if name is None else [name]
        found = {each: database.open(each).verify() for each in names}
    sound = all(each.ok for each in found.values())
    if json:
        stores = [
            {"store": key, "records": each.records, "problems": list(each.problems)} for key, each in found.items()
        ]
        output.print_json({"ok": sound, "stores": stores})
    else:
        for key, each in found.items():
            state = "sound" if each.ok else f"DAMAGED, {len(each.problems):,} problems"
            output.say(f"{key}: {each.records:,} records checked, {state}")
            for problem in each.problems:
                output.say(output.harmless(f"  {problem}"))
        if not found:
            output.note("There are no stores here.")
    if not sound:
        raise typer.Exit(NEGATIVE)


def reindex(
    url: Url,
    name: Name,
    index: IndexKind = None,
    m: Annotated[int | None, typer.Option(metavar="N", help="hnsw: neighbours of a record.")] = None,
    ef_construction: Annotated[int | None, typer.Option(metavar="N", help="hnsw: effort while building.")] = None,
    target_recall: Annotated[
        float | None, typer.Option(metavar="R", help="hnsw: the recall that searches are calibrated to.")
    ] = None,
    json: Json = False,
) -> None:
    """Build the index again, with other options where some are given.

    For example:
      vecstore reindex file:./kb articles
      vecstore reindex file:./kb articles --index hnsw --m 32
    """
    wanted = parse_index(index, m, ef_construction, target_recall)
    with connect(url) as database:
        store = database.open(name)
        with output.meter("Indexing", quiet=json) as meter:
            store.reindex(wanted, on_progress=meter)
        status = store.index_status()
    if json:
        output.print_json({"store": name, "index": store.schema.to_dict()["index"], "index_status": asdict(status)})
    elif status.state == "none":
        output.say(f"{name} has no graph: every search over its {status.rows:,} records is exact.")
    else:
        output.say(f"{name}: {status.kind} index {status.state}, {status.indexed:,} of {status.rows:,} records in it.")


def recall(
    url: Url,
    name: Name,
    queries: Annotated[int, typer.Option(metavar="N", min=1, help="How many stored vectors to ask with.")] = 200,
    k: Annotated[
        int, typer.Option("-k", "--limit", metavar="N", min=1, max=1_000, help="How many records each search finds.")
    ] = 10,
    where: Where = None,
    min_recall: Annotated[
        float | None, typer.Option(metavar="N", min=0, max=1, help="Exit code 1 when the mean is lower.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure how many of the truly nearest records a search finds.

    Asks with stored vectors, once through the index and once exactly; 1 is perfect.

    For example:
      vecstore recall file:./kb articles --min-recall 0.95
    """
    with connect(url) as database, output.waiting("Measuring", quiet=json):
        found = database.open(name).measure_recall(queries, k, where=parse_where(where))
    enough = min_recall is None or found.mean >= min_recall
    if json:
        output.print_json({"store": name, **asdict(found), "enough": enough})
    else:
        output.say(
            f"recall@{found.k} {found.mean:.4f} (5th percentile {found.p5:.4f}, worst {found.minimum:.4f}) "
            f"over {found.queries:,} queries"
        )
    if not enough:
        raise typer.Exit(NEGATIVE)


def rebuild(
    url: Url,
    name: Name,
    # Not from VECSTORE_EMBEDDER: a model set for searching must not change the store.
    embedder: Annotated[
        str | None,
        typer.Option("--embedder", "-e", metavar="NAME[:MODEL]", help="Make all vectors anew with this model."),
    ] = None,
    field: Fields = None,
    drop_field: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Declare a field no longer; its values stay as metadata.")
    ] = None,
    metric: MetricName = None,
    dtype: DtypeName = None,
    rate: Annotated[
        float | None, typer.Option(metavar="N", min=0.001, help="Copy at most so many records a second.")
    ] = None,
    discard: Annotated[bool, typer.Option("--discard-previous", help="Do not keep what is replaced.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to what the last rebuild replaced.")] = False,
    json: Json = False,
) -> None:
    """Change a store's model, metric, dtype or fields.

    The store stays in use meanwhile. The new form is filled beside the old one and takes its place when
    it is complete. The old one is kept, and --rollback goes back to it. When interrupted, the same
    command goes on.

    For example:
      vecstore rebuild file:./kb articles --field year:int
      vecstore rebuild file:./kb articles --embedder sentence-transformers:all-MiniLM-L6-v2
    """
    changes = [field, drop_field, metric, dtype, rate, discard or None]
    if rollback and any(change is not None for change in changes):
        raise Failure("--rollback takes no other option than --embedder.")
    model = load_embedder(embedder) if embedder else None
    with connect(url) as database, output.meter("Rebuilding", quiet=json) as meter:
        if rollback:
            done = database.rollback(name, embedder=model)
        else:
            schema = _changed(database, name, field or [], drop_field or [], {"metric": metric, "dtype": dtype})
            done = database.rebuild(
                name, schema=schema, embedder=model, keep_previous=not discard, on_progress=meter,
                records_per_second=rate,
            )  # fmt: skip
    _tell(name, done, machine=json)


def _changed(
    database: Database, name: str, added: list[str], dropped: list[str], others: dict[str, str | None]
) -> Schema | None:
    schema = database.open(name).schema
    unknown = [field for field in dropped if field not in schema.fields]
    if unknown:
        raise Failure(f"Store {name!r} has no field {unknown[0]!a}.")
    fields = {key: each for key, each in schema.fields.items() if key not in dropped} | parse_fields(added)
    changes: dict[str, Any] = {key: value for key, value in others.items() if value is not None}
    if dict(schema.fields) != fields:
        changes["fields"] = fields
    return replace(schema, **changes) if changes else None


def _tell(name: str, done: Rebuilt, *, machine: bool) -> None:
    if machine:
        output.print_json({"store": name, **asdict(done)})
        return
    made = "vectors made anew" if done.embedded else "vectors kept"
    output.say(
        f"{name}: {done.records:,} records, {made}, {done.overlap:.0%} of nearest records the same, "
        f"{done.seconds:.1f} s."
    )


def _model(config: dict[str, Any] | None) -> str:
    return f"{config.get('kind')}:{config.get('model')}" if config else "none: vectors were given"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"
