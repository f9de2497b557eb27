"""`vecstore copy` and `vecstore move`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from .. import Copied, Moved, connect
from ..database import Database
from ..swap import calls
from . import output, progress
from .embedder_choice import load_embedder
from .exits import NEGATIVE, Failure
from .options import Json, Name, Url

_Target = Annotated[
    str, typer.Argument(metavar="DST", help="The place to which it goes, as a URL.", show_default=False)
]
_NewName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Its name there; by default the same.", show_default=False)
]
_Rate = Annotated[
    float | None, typer.Option("--rate", metavar="N", min=0.001, help="Copy at most this many records per second.")
]
_Model = Annotated[
    str | None,
    typer.Option("--embedder", "-e", metavar="NAME[:MODEL]", help="Embed all texts again with this model."),
]


def copy(
    url: Url,
    name: Name,
    target: _Target,
    new_name: _NewName = None,
    embedder: _Model = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; list what cannot make the trip. The exit code is 1 then.")
    ] = False,
    rate: _Rate = None,
    json: Json = False,
) -> None:
    """Copy a store to another place, of any kind.

    The store can be used meanwhile. Every record of the copy is compared with the store before the copy gets its
    name. After an interruption, run the same command again to continue.

    For example:
      vecstore copy file:./kb articles file:./archive
    """
    model = None if embedder is None else load_embedder(embedder)
    with connect(url) as here, connect(target) as there:
        if dry_run:
            obstacles = calls.list_obstacles(here, name, there, new_name, model)
            left_out = calls.list_left_out(here, name, there)
            _print_obstacles(name, obstacles, left_out, machine=json)
            return
        with progress.meter("Copying", quiet=json) as meter:
            done = here.open(name).copy_to(there, new_name, embedder=model, on_progress=meter, records_per_second=rate)
    _print_done(name, "copied", done, machine=json)


def move(
    url: Url,
    name: Name,
    target: _Target,
    new_name: _NewName = None,
    embedder: _Model = None,
    back: Annotated[bool, typer.Option("--back", help="Move it from DST back to URL, with all later writes.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Give an interrupted move or copy up.")] = False,
    accept_volatile: Annotated[
        bool,
        typer.Option("--accept-volatile", help="Move although a place may forget writes when its server crashes."),
    ] = False,
    rate: _Rate = None,
    json: Json = False,
) -> None:
    """Move a store to another place, of any kind, while it is used.

    The store is copied and compared, then one commit makes the other place the store. Programs that were given both
    places go on there; others get an error that names it. The old records are kept, and --back goes back to them.
    After an interruption, run the same command again to continue.

    For example:
      vecstore move file:./kb articles file:./new
    """
    if back and abort:
        raise Failure("Give either --back or --abort.")
    model = None if embedder is None else load_embedder(embedder)
    with connect(url) as here, connect(target) as there:
        if abort:
            _print_aborted(name, given_up=here.open(name).abort_move(there), machine=json)
            return
        with progress.meter("Moving", quiet=json) as meter:
            if back:
                done = _move_back(there, new_name or name, here, meter, model, accept_volatile=accept_volatile)
            elif calls.finish_move(here, name, there):
                done = None
            else:
                done = here.open(name).move_to(
                    there, new_name, embedder=model, accept_volatile=accept_volatile, on_progress=meter,
                    records_per_second=rate,
                )  # fmt: skip
    _print_done(name, "moved back" if back else "moved", done, machine=json)


def _move_back(
    there: Database, name: str, here: Database, meter: progress.Meter, model: object, *, accept_volatile: bool
) -> Moved | None:
    if calls.finish_move(there, name, here):
        return None
    store = there.open(name)
    return store.move_back(here, embedder=model, accept_volatile=accept_volatile, on_progress=meter)  # type: ignore[arg-type]


def _print_obstacles(name: str, found: list[str], left_out: list[str], *, machine: bool) -> None:
    if machine:
        output.print_json({"store": name, "obstacles": found, "left_out": left_out})
    else:
        if not found:
            output.say(f"{name}: nothing is in the way.")
        for each in [*found, *left_out]:
            output.say(output.escape_controls(each))
    if found:
        raise typer.Exit(NEGATIVE)


def _print_aborted(name: str, *, given_up: bool, machine: bool) -> None:
    if machine:
        output.print_json({"store": name, "given_up": given_up})
    else:
        output.say(f"{name}: {'given up' if given_up else 'there is nothing to give up'}.")


def _print_done(name: str, deed: str, done: Copied | Moved | None, *, machine: bool) -> None:
    if machine:
        output.print_json({"store": name, "deed": deed, **({} if done is None else asdict(done))})
    elif done is None:
        output.say(f"{name}: {deed}; an earlier call had done all but its last step.")
    else:
        output.say(
            f"{name}: {done.records:,} records {deed}, {done.caught_up:,} of them again because they changed, "
            f"{done.overlap:.0%} of nearest records the same, {done.seconds:.1f} s."
        )
        output.say(f"digest {done.digest}")
