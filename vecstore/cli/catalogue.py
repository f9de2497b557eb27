"""`vecstore ls` and `vecstore drop`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .. import Database, InvalidArgument, MilvusIndex, StoreMoved, connect
from . import output
from .declarations import name_index
from .exits import Failure
from .options import Json, Name, Url, Yes, confirm

Moved = Annotated[
    bool, typer.Option("--moved", help="Remove what a store that has moved to another place left here; it stays there.")
]
Previous = Annotated[
    bool, typer.Option("--previous", help="Remove only the version that the last rebuild replaced; keep the store.")
]


def ls(url: Url, json: Json = False) -> None:
    """List the stores at a URL.

    For example:
      vecstore ls file:./kb
    """
    with connect(url) as database:
        described = [_describe(database, name) for name in database.names()]
    stores = [store for store, _ in described]
    if json:
        output.print_json({"stores": stores})
    elif not stores:
        output.note("There are no stores here.")
    else:
        columns = ("store", "records", "dim", "metric", "index", "fields")
        shown = [{**store, "index": shown_index} for store, shown_index in described]
        output.print_table(columns, [[_format_cell(store.get(column, "-")) for column in columns] for store in shown])
        for store in stores:
            if "moved_to" in store:
                output.say(f"{store['store']} has moved to {store['moved_to']}.")


def drop(
    url: Url, name: Name, previous: Previous = False, moved: Moved = False, yes: Yes = False, json: Json = False
) -> None:
    """Remove a store and all its records.

    For example:
      vecstore drop file:./kb articles
      vecstore drop file:./kb articles --previous
    """
    if previous and moved:
        raise Failure("--previous keeps the store, and a store that has moved is not here. Leave one of them out.")
    with connect(url) as database:
        if previous:
            _drop_previous(database, name, machine=json)
            return
        if moved:
            _drop_moved(database, name, yes=yes, machine=json)
            return
        count = database.open(name).count()
        confirm(f"Remove store {name} with {count:,} records?", yes=yes)
        database.drop(name)
    if json:
        output.print_json({"dropped": name, "records": count})
    else:
        output.say(f"Removed {name} with its {count:,} records.")


def _drop_previous(database: Database, name: str, *, machine: bool) -> None:
    dropped = database.drop_previous(name)
    if machine:
        output.print_json({"store": name, "dropped_previous": dropped})
    else:
        kept = (
            "Removed the version that the last rebuild replaced"
            if dropped
            else "There is no replaced version to remove"
        )
        output.say(f"{kept}: {name}.")


def _drop_moved(database: Database, name: str, *, yes: bool, machine: bool) -> None:
    confirm(f"Remove what {name} left here, with the records that are kept for the way back?", yes=yes)
    try:
        database.drop(name, moved=True)
    except InvalidArgument:
        raise Failure(f"{name} has not moved. To remove it with its records, leave --moved out.") from None
    if machine:
        output.print_json({"store": name, "dropped_moved": True})
    else:
        output.say(f"Removed what {name} left here. A store that has moved stays where it is now.")


def _describe(database: Database, name: str) -> tuple[dict[str, Any], str]:
    """Return what `ls` says of a store, or where it has moved; and the name of its index for people."""
    try:
        store = database.open(name)
        count = store.count()
    except StoreMoved as moved:
        return {"store": name, "moved_to": moved.target, "moved_uid": moved.uid}, "-"
    index = store.schema.index
    there = {"index_name": index.name} if isinstance(index, MilvusIndex) else {}
    return {"store": name, "records": count, **store.schema.to_dict(), "index": index.kind, **there}, name_index(index)


def _format_cell(value: object) -> str | int:
    if isinstance(value, dict):
        return ", ".join(value)
    return value if isinstance(value, int) else str(value)
