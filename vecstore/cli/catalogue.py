"""`vecstore ls` and `vecstore drop`."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import Database, connect
from . import output
from .options import Json, Name, Url, Yes, confirm

Previous = Annotated[
    bool, typer.Option("--previous", help="Remove only the version that the last rebuild replaced; keep the store.")
]


def ls(url: Url, json: Json = False) -> None:
    """List the stores at a URL.

    For example:
      vecstore ls file:./kb
    """
    with connect(url) as database:
        found = [(database.open(name), name) for name in database.names()]
        stores = [
            {"store": name, "records": store.count(), **store.schema.to_dict(), "index": store.schema.index.kind}
            for store, name in found
        ]
    if json:
        output.print_json({"stores": stores})
    elif not stores:
        output.note("There are no stores here.")
    else:
        columns = ("store", "records", "dim", "metric", "index", "fields")
        output.print_table(columns, [[_format_cell(store[column]) for column in columns] for store in stores])


def drop(url: Url, name: Name, previous: Previous = False, yes: Yes = False, json: Json = False) -> None:
    """Remove a store and all its records.

    For example:
      vecstore drop file:./kb articles
      vecstore drop file:./kb articles --previous
    """
    with connect(url) as database:
        if previous:
            _drop_previous(database, name, machine=json)
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


def _format_cell(value: object) -> str | int:
    if isinstance(value, dict):
        return ", ".join(value)
    return value if isinstance(value, int) else str(value)
