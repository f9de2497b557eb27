"""`vecstore follow`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from .. import connect
from ..following import FollowedStore
from . import output
from .exits import NEGATIVE
from .options import Url

_EVERY = 10.0
"""Seconds between two reports about what waits."""
JsonLines = Annotated[
    bool,
    typer.Option("--json", help="Print each report as one line of JSON (JSON Lines), and an error too (on stderr)."),
]


def follow(
    url: Url,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Which stores; all by default.", show_default=False)
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Bring what waits now, and end.")] = False,
    json: JsonLines = False,
) -> None:
    """Keep Milvus in step with PostgreSQL.

    The Milvus server that vectors= in the URL names gets what changes in the stores that it follows.

    Runs until SIGTERM or Ctrl-C, and reports every ten seconds. The batch that was begun is finished; the next call
    goes on with a copy that was not. Several may run; one of them works on each store. While Milvus is gone it tries
    again, at most 30 seconds apart.

    With --once it reports at the end. What another process is bringing is waited for. The exit code is 1 if something
    is left.

    For example:
      vecstore follow "postgresql://localhost/app?vectors=milvus://localhost:19530" articles
    """
    ends, shown = threading.Event(), [0.0]
    before = {each: signal.signal(each, lambda *_: ends.set()) for each in (signal.SIGTERM, signal.SIGINT)}

    def report(found: Sequence[FollowedStore]) -> None:
        if time.monotonic() < shown[0]:
            return
        shown[0] = time.monotonic() + _EVERY
        _show(found, machine=json)

    try:
        with connect(url) as database:
            following = database.follow(names or ())
            if not once:
                if not json:  # the first report comes once each store was looked at
                    _say_begun(len(set(names or database.names())))
                following.run(ends, report)
                return
            found = following.drain(ends)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if not found and not json:
        output.note("There are no stores here.")
    _show(found, machine=json)
    if not all(each.is_done for each in found):
        raise typer.Exit(NEGATIVE)


def _say_begun(stores: int) -> None:
    output.say(f"Following {'1 store' if stores == 1 else f'{stores:,} stores'}.")


def _show(found: Sequence[FollowedStore], *, machine: bool) -> None:
    if machine:
        output.print_json({"stores": [_to_dict(each) for each in found]})
        return
    for each in found:
        state = f"{each.name}: {each.sent:,} records brought, {each.pending:,} wait"
        state += f", for {each.lag:.1f} s" if each.pending else ""
        state += "; a copy is under way" if each.copying else ""
        output.say(output.escape_controls(f"{state}. {each.failure or each.reason or ''}".rstrip()))


def _to_dict(each: FollowedStore) -> dict[str, Any]:
    return {key: value for key, value in asdict(each).items() if not key.startswith("_")}
