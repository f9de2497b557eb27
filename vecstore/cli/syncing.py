"""`vecstore sync`: the workers of an application's models, and what they have left to do."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DeadLetters, MissingExtra, close_matches
from . import output, progress
from .embedder_choice import load_embedder
from .exits import NEGATIVE, STORAGE, Failure
from .options import Json

if TYPE_CHECKING:
    from ..orm import VectorORM

HELP = """
Keep stores in step with SQLAlchemy models.

MODULE:VECTORS names the application's VectorORM as Python imports it: app.models:vectors.
The module calls vectors.install() when it is imported.
"""

_LOOK = 0.5  # seconds between two looks whether a signal has come
Vectors = Annotated[
    str,
    typer.Argument(metavar="MODULE:VECTORS", help="Where the VectorORM is: app.models:vectors.", show_default=False),
]
Declaration = Annotated[
    str | None,
    typer.Argument(metavar="CLASS.ATTRIBUTE", help="Such as Article.search; all by default.", show_default=False),
]


def run(
    vectors: Vectors,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, max=64, help="Threads.")] = 1,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="N", min=1, max=100_000)] = 1_000,
    json: Json = False,
) -> None:
    """Work off changes until SIGTERM or Ctrl-C; the batches that were begun are finished.

    For example:
      vecstore sync run app:vectors --workers 2
    """
    with _load(vectors) as orm:
        ends = threading.Event()
        before = {each: signal.signal(each, lambda *_: ends.set()) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            running = [orm.run_worker(batch_size=batch_size) for _ in range(workers)]
            if json:
                output.print_json({"workers": len(running)})
            else:
                output.say(f"{len(running)} workers run. Ctrl-C ends them.")
            # A signal that came while the process was stopped may wake another thread: the handler waits for this one.
            while not ends.wait(_LOOK):
                pass
            for worker in running:
                worker.close()
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def once(vectors: Vectors, json: Json = False) -> None:
    """Work off what waits now. The exit code is 1 if something is left: failures, or another worker's rows.

    For example:
      vecstore sync once app:vectors
    """
    with _load(vectors) as orm:
        began = time.monotonic()
        done = orm.sync_once()
        rate = round(done / max(time.monotonic() - began, 0.001), 1)
        left = sum(each.pending + each.dead for each in orm.status().values())
    if json:
        output.print_json({"changes": done, "left": left, "rate": rate})
    else:
        output.say(f"{done:,} changes worked off, {left:,} left.")
    if left:
        raise typer.Exit(NEGATIVE)


def status(
    vectors: Vectors,
    max_lag: Annotated[
        float | None, typer.Option("--max-lag", metavar="SECONDS", min=0, help="Exit with 1 above this.")
    ] = None,
    max_pending: Annotated[
        int | None, typer.Option("--max-pending", metavar="N", min=0, help="Exit with 1 above this.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what waits. The exit code is 1 if there are dead letters, or more than a limit allows.

    For example:
      vecstore sync status app:vectors --max-lag 60
    """
    with _load(vectors) as orm:
        found = orm.status()
    if json:
        output.print_json({"declarations": {name: asdict(each) for name, each in found.items()}})
    else:
        rows = [(name, each.pending, each.dead, f"{each.lag:.1f} s", each.reason or "") for name, each in found.items()]
        output.print_table(("declaration", "pending", "dead", "lag", "a reason"), rows)
    if any(
        each.dead
        or (max_lag is not None and each.lag > max_lag)
        or (max_pending is not None and each.pending > max_pending)
        for each in found.values()
    ):
        raise typer.Exit(NEGATIVE)


def retry(vectors: Vectors, json: Json = False) -> None:
    """Give dead letters, and rows that wait for another attempt, a new chance.

    For example:
      vecstore sync retry app:vectors
    """
    with _load(vectors) as orm:
        revived = orm.retry()
    if json:
        output.print_json({"revived": revived})
    else:
        output.say(f"{revived:,} dead letters will be tried again.")


def verify(
    vectors: Vectors,
    declaration: Declaration = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what differs: note the rows for the workers.")] = False,
    json: Json = False,
) -> None:
    """Compare all rows with their records. The exit code is 1 if something differs and --fix is not given.

    For example:
      vecstore sync verify app:vectors
      vecstore sync verify app:vectors Article.search --fix
    """
    with _load(vectors) as orm:
        checks = orm.verify(_find(orm, declaration), fix=fix)
    if json:
        listed = [asdict(each) | {"ok": each.ok} for each in checks]
        output.print_json({"ok": all(each.ok for each in checks), "fixed": fix, "declarations": listed})
    for each in [] if json else checks:
        state = "in step" if each.ok else f"{each.differences:,} DIFFER{', noted for the workers' if fix else ''}"
        output.say(f"{each.label}: {each.rows:,} rows compared, {state}")
        for what, names in (
            ("differs", each.examples),
            ("no key of the table", each.strangers),
            ("missing trigger", each.missing_triggers),
            ("the sequence of fences", ("lies behind the store",) if each.fence_behind else ()),
        ):
            for name in names:
                output.say(output.escape_controls(f"  {what}: {name}"))
    if any(not each.ok and (not fix or each.strangers) for each in checks):
        raise typer.Exit(NEGATIVE)


def backfill(vectors: Vectors, declaration: Declaration = None, json: Json = False) -> None:
    """Note all rows for the workers: for a table that was there before its declaration.

    For example:
      vecstore sync backfill app:vectors Article.search
    """
    with _load(vectors) as orm:
        noted = orm.backfill(_find(orm, declaration))
    if json:
        output.print_json({"rows": noted})
    else:
        output.say(f"{noted:,} rows wait for a worker.")


def rebuild(
    vectors: Vectors,
    declaration: Annotated[
        str, typer.Argument(metavar="CLASS.ATTRIBUTE", help="Such as Article.search.", show_default=False)
    ],
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder",
            "-e",
            metavar="NAME[:MODEL]",
            help="The new model; by default the last one of embedder=(old, new).",
        ),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the vectors before, or give up an unfinished rebuild.")
    ] = False,
    drop_previous: Annotated[
        bool, typer.Option("--drop-previous", help="Drop the vectors before: there is no way back then.")
    ] = False,
    json: Json = False,
) -> None:
    """Change the embedding model of a declaration, beside the application.

    A new generation of its store, or a second column of its table, is filled, compared, and then searched. After
    an interruption, run the same command again. Applications and workers that are to go on meanwhile have both
    models: VectorORM(Base, embedder=(old, new)).

    For example:
      vecstore sync rebuild app:vectors Article.search --embedder wordllama:128
      vecstore sync rebuild app:vectors Article.search --rollback
      vecstore sync rebuild app:vectors Article.search --drop-previous
    """
    if rollback and drop_previous:
        raise Failure("--rollback needs what --drop-previous drops. Give one of them.")
    if drop_previous and embedder is not None:
        raise Failure("--drop-previous takes no --embedder.")
    model = None if embedder is None else load_embedder(embedder)
    with _load(vectors) as orm, progress.meter("Rebuilding", quiet=json) as meter:
        attribute = _find(orm, declaration)
        if drop_previous:
            dropped = orm.drop_previous(attribute)
        elif rollback:
            done = orm.rollback(attribute, embedder=model)
        else:
            done = orm.rebuild(attribute, embedder=model, on_progress=meter)
    if drop_previous:
        if json:
            output.print_json({"declaration": declaration, "dropped": dropped})
        else:
            output.say(f"{declaration}: {'the previous vectors are dropped' if dropped else 'nothing to drop'}.")
        return
    if json:
        output.print_json({"declaration": declaration, **asdict(done)})
    elif not done.changed:
        output.say(f"{declaration}: nothing to change, the vectors are of this model already.")
    else:
        output.say(f"{declaration}: {'back at the vectors before' if rollback else 'the new vectors are searched'}.")


COMMANDS = (run, once, status, retry, verify, backfill, rebuild)


@contextmanager
def _load(place: str) -> Iterator[VectorORM]:
    """Import the application's VectorORM for one command; errors of its database end the command in one line."""
    try:
        from sqlalchemy.exc import SQLAlchemyError

        from ..orm import VectorORM
        from ..orm.busy_database import LOCKED, is_locked
    except ImportError as error:
        raise MissingExtra("sqlalchemy", "orm") from error
    module, colon, name = place.partition(":")
    if not colon or not module or not name:
        raise Failure(f"{place[:60]!r} is not MODULE:VECTORS. Write it like app.models:vectors.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        imported = importlib.import_module(module)
    except ImportError as error:
        raise Failure(f"The module {module[:60]!r} cannot be imported: {error}.") from error
    except BaseException as error:
        if not isinstance(error, Exception):
            raise
        raise Failure(
            f"The module {module[:60]!r} raised {type(error).__name__} while it was imported. "
            f"python -c 'import {module[:60]}' shows where."
        ) from error
    found: Any = getattr(imported, name, None)
    if found is None:
        known = [each for each, value in vars(imported).items() if isinstance(value, VectorORM)]
        raise Failure(f"The module {module[:60]!r} has no {name[:60]!r}.{close_matches(name, known)}")
    if not isinstance(found, VectorORM):
        raise Failure(f"{name[:60]!r} in module {module[:60]!r} is no VectorORM but {type(found).__name__}.")
    try:
        with found:
            yield found
    except SQLAlchemyError as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        told = f"The application's database failed: {kind}. Is it there, and are its tables created?"
        raise Failure(LOCKED if is_locked(error) else told, STORAGE) from error
    except DeadLetters as error:
        raise Failure(str(error), NEGATIVE) from error


def _find(orm: VectorORM, declaration: str | None) -> Any:
    """Return the declaration of that name; None for all."""
    if declaration is None:
        return None
    found = orm.declarations.get(declaration)
    if found is None:
        raise Failure(f"There is no declaration {declaration[:60]!r}. Known: {', '.join(orm.declarations)}.")
    return found
