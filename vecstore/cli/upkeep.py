"""`vecstore info`, `verify`, `compact`, `backup` and `rebuild`."""

from __future__ import annotations

from dataclasses import asdict, replace
from textwrap import wrap
from typing import Annotated, Any

import typer

from .. import IndexStatus, StoreMoved, connect
from ..database import Database
from ..rebuild.switch import Rebuilt
from ..schema import Schema
from . import output, progress
from .declarations import name_index, parse_fields
from .embedder_choice import describe_model, embedder_config, load_embedder
from .exits import NEGATIVE, Failure
from .indexing import describe_effort, describe_index
from .options import DtypeName, Dynamic, Fields, Json, MetricName, Name, Partitions, Url, VectorsName

_WIDTH = 80


def info(url: Url, name: Name, json: Json = False) -> None:
    """Show a store's schema, size, index and model.

    For example:
      vecstore info file:./kb articles
    """
    with connect(url) as database:
        backend = database.capabilities.backend
        try:
            store = database.open(name)
            stats, status = store.stats(), store.index_status()
        except StoreMoved as moved:
            _show_signpost(name, backend, moved, machine=json)
            return
        schema, model = store.schema, embedder_config(store)
    if json:
        output.print_json(
            {
                "store": name, "backend": backend, "records": stats.records, "bytes": stats.bytes,
                "schema": schema.to_dict(), "index_status": asdict(status), "embedder": model,
                "details": dict(stats.details),
            }
        )  # fmt: skip
        return
    rows: list[tuple[str, str]] = [
        ("records", f"{stats.records:,}"),
        ("size", _format_bytes(stats.bytes)),
        ("vectors", _describe_vectors(schema, status)),
        ("index", describe_index(status, name_index(schema.index))),
        *([("search effort", describe_effort(status))] if status.state != "none" else []),
        *([("measured recall", f"{status.recall:.4f}, {status.measured}")] if status.recall is not None else []),
        ("model", describe_model(model)),
        *((f"field {field}", str(each)) for field, each in schema.fields.items()),
        *([("other metadata", "filters can use it")] if schema.dynamic else []),
        ("backend", backend),
        *((key, f"{value:,}" if isinstance(value, int) else str(value)) for key, value in stats.details.items()),
    ]
    output.print_pairs(name, rows)
    for line in wrap(f"Searches are exact. {status.reason}" if status.reason else "", _WIDTH):
        output.say(line)


def _show_signpost(name: str, backend: str, moved: StoreMoved, *, machine: bool) -> None:
    if machine:
        output.print_json({"store": name, "backend": backend, "moved_to": moved.target, "moved_uid": moved.uid})
        return
    output.print_pairs(name, [("moved to", moved.target), ("uid there", moved.uid), ("backend here", backend)])
    output.say("`vecstore drop --moved` removes what is left here.")


def _is_moved(database: Database, name: str) -> bool:
    """Say whether only a signpost has the name, which leaves nothing to check."""
    try:
        database.open(name)
    except StoreMoved as moved:
        output.note(f"{name} has moved to {moved.target}: it is to be checked there.")
        return True
    return False


def verify(
    url: Url,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which store; all by default.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Check every stored byte.

    The exit code is 1 if something is damaged; the output lists it. A place without stores is an error.

    For example:
      vecstore verify file:./kb
    """
    with connect(url) as database:
        names = database.names() if name is None else [name]
        if not names:
            raise Failure("There are no stores here, so nothing was checked. Is the URL right?")
        found = {each: database.open(each).verify() for each in names if name or not _is_moved(database, each)}
    sound = all(each.ok for each in found.values())
    if json:
        stores = [
            {
                "store": key,
                "records": each.records,
                "problems": list(each.problems),
                **({"unchecked": list(each.unchecked)} if each.unchecked else {}),
            }
            for key, each in found.items()
        ]
        output.print_json({"ok": sound, "stores": stores})
    else:
        for key, each in found.items():
            count = len(each.problems)
            state = "sound" if each.ok else f"DAMAGED, {count:,} {'problem' if count == 1 else 'problems'}"
            output.say(f"{key}: {each.records:,} records checked, {state}")
            for problem in (*each.problems, *each.unchecked):
                output.say(output.escape_controls(f"  {problem}"))
    if not sound:
        raise typer.Exit(NEGATIVE)


def compact(url: Url, name: Name, json: Json = False) -> None:
    """Free the space of removed and replaced records.

    This also happens by itself over time. The store can be used meanwhile.

    For example:
      vecstore compact file:./kb articles
    """
    with connect(url) as database:
        store = database.open(name)
        before = store.stats().bytes
        with progress.meter("Compacting", quiet=json) as meter:
            store.compact(on_progress=meter)
        after = store.stats().bytes
    if json:
        output.print_json({"store": name, "bytes_before": before, "bytes": after})
    else:
        output.say(f"{name}: {_format_bytes(before)} before, {_format_bytes(after)} now.")


def backup(
    url: Url,
    directory: Annotated[
        str, typer.Argument(metavar="DIRECTORY", help="A new or empty directory.", show_default=False)
    ],
    json: Json = False,
) -> None:
    """Copy all stores into a new directory.

    Each is copied as it is at one moment. The stores can be used meanwhile. The copy is a database too: its
    URL is file: and the directory.

    For example:
      vecstore backup file:./kb ./kb-of-today
    """
    with connect(url) as database:
        with progress.show_wait("Copying", quiet=json):
            database.backup(directory)
        names = database.names()
    if json:
        output.print_json({"directory": directory, "stores": names})
    else:
        output.say(output.escape_controls(f"Copied all stores ({len(names):,}) to {directory}."))


def rebuild(
    url: Url,
    name: Name,
    # Not from VECSTORE_EMBEDDER: a model set for searching must not change the store.
    embedder: Annotated[
        str | None,
        typer.Option("--embedder", "-e", metavar="NAME[:MODEL]", help="Embed all texts again with this model."),
    ] = None,
    field: Fields = None,
    drop_field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Remove a field's declaration; its values stay as metadata."),
    ] = None,
    dynamic: Dynamic = None,
    metric: MetricName = None,
    dtype: DtypeName = None,
    vectors: VectorsName = None,
    partitions: Partitions = None,
    rate: Annotated[
        float | None, typer.Option(metavar="N", min=0.001, help="Copy at most this many records per second.")
    ] = None,
    discard: Annotated[bool, typer.Option("--discard-previous", help="Do not keep the replaced version.")] = False,
    rollback: Annotated[
        bool,
        typer.Option(
            "--rollback",
            help="Go back to the version before the last rebuild, or give up an unfinished one.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Change a store's model, metric, dtype, fields or partitions.

    The store can be used meanwhile. A new version is filled beside the old one and replaces it when it is
    complete. The old version is kept, and --rollback goes back to it. After an interruption, run the same
    command again to continue.

    For example:
      vecstore rebuild file:./kb articles --field year:int
      vecstore rebuild file:./kb articles --dynamic
      vecstore rebuild file:./kb articles --embedder wordllama:128
    """
    changes = [field, drop_field, dynamic, metric, dtype, vectors, partitions, rate, discard or None]
    if rollback and any(change is not None for change in changes):
        raise Failure("--rollback can be combined with --embedder only.")
    model = None if embedder is None else load_embedder(embedder)
    with connect(url) as database, progress.meter("Rebuilding", quiet=json) as meter:
        if rollback:
            done = database.rollback(name, embedder=model)
        else:
            others = {
                "dynamic": dynamic, "metric": metric, "dtype": dtype, "vectors": vectors, "partitions": partitions,
            }  # fmt: skip
            schema = _change_schema(database, name, field or [], drop_field or [], others)
            done = database.rebuild(
                name, schema=schema, embedder=model, keep_previous=not discard, on_progress=meter,
                records_per_second=rate,
            )  # fmt: skip
    _print_rebuilt(name, done, rollback=rollback, machine=json)


def _change_schema(
    database: Database, name: str, added: list[str], dropped: list[str], others: dict[str, Any]
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


def _print_rebuilt(name: str, done: Rebuilt, *, rollback: bool, machine: bool) -> None:
    if machine:
        output.print_json({"store": name, **asdict(done)})
        return
    if not done.changed:
        output.say(f"{name}: nothing to change, it has this schema, index and model already; {done.records:,} records.")
        return
    if rollback:
        made = f"as before the last rebuild, {done.caught_up:,} of them brought up to date"
    else:
        made = "vectors embedded again" if done.embedded else "vectors kept"
    output.say(
        f"{name}: {done.records:,} records, {made}, {done.overlap:.0%} of nearest records the same, "
        f"{done.seconds:.1f} s."
    )


def _describe_vectors(schema: Schema, status: IndexStatus) -> str:
    described = f"{schema.dim} dimensions, {schema.metric.value}, {schema.dtype}"
    lacking = f", optional: {status.without_vector:,} records have none" if schema.has_optional_vectors else ""
    return described + lacking


def _format_bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"
