"""`vecstore declare` and `undeclare`."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import connect
from ..rebuild.declaration import Declared
from ..schema import Schema
from . import output, progress
from .declarations import parse_fields
from .exits import Failure
from .options import Fields, Json, Name, Url


def declare(url: Url, name: Name, field: Fields = None, json: Json = False) -> None:
    """Make keys of the metadata fields, which filters can use.

    All values are checked first: if one has another type, nothing is changed. The store can be used meanwhile. After
    an interruption, run the same command again to continue.

    For example:
      vecstore declare file:./kb articles --field author:keyword --field published:datetime:text
    """
    if not field:
        raise Failure("Give --field NAME:KIND, once for each key.")
    fields = parse_fields(field, renames=False)
    with connect(url) as database, progress.meter("Declaring", quiet=json) as meter:
        done = database.declare(name, fields, on_progress=meter)
        schema = database.open(name).schema
    _print_declared(name, done, schema, machine=json)


def undeclare(
    url: Url,
    name: Name,
    fields: Annotated[list[str], typer.Argument(metavar="FIELD", help="Names of fields.", show_default=False)],
    json: Json = False,
) -> None:
    """Make fields undeclared metadata again.

    No value is lost; dates become ISO 8601 text. The store can be used meanwhile. After an interruption, run the same
    command again to continue.

    For example:
      vecstore undeclare file:./kb articles year
    """
    with connect(url) as database, progress.meter("Undeclaring", quiet=json) as meter:
        done = database.undeclare(name, fields, on_progress=meter)
        schema = database.open(name).schema
    _print_declared(name, done, schema, machine=json)
    for field in fields:
        if field not in done.values and not json:
            output.note(f"{name} has no field {field!a}, so nothing was done for it.")


def _print_declared(name: str, done: Declared, schema: Schema, *, machine: bool) -> None:
    if machine:
        output.print_json(
            {"store": name, "records": done.records, "values": dict(done.values), "seconds": done.seconds,
             "fields": schema.to_dict()["fields"]}
        )  # fmt: skip
        return
    if not done.values:
        output.say(f"{name}: nothing to do, these are the fields that it has.")
        return
    for field, count in done.values.items():
        what = f"is a field now, {schema.fields[field]}" if field in schema.fields else "is undeclared metadata now"
        output.say(f"{name}: {field} {what}; {count:,} of {done.records:,} records have it.")
