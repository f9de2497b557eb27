"""What a user gives to a copy or a move, checked before anything is read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..backend import Backend, Generation
from ..errors import InvalidArgument, Unsupported
from ..lookup import CurrentEntry, find_here
from ..names import check_name
from ..progress import Progress, report_to
from ..rebuild.pace import Pace
from ..rebuild.target import plan_generation
from ..schema import Schema
from ..store_embedder import StoreEmbedder
from .copying import abort_transfer, copy_store
from .moving import finish, move_store, move_store_back
from .results import Copied, Moved

if TYPE_CHECKING:
    from ..database import Database


def copy_to(
    current: CurrentEntry,
    database: Database,
    name: str | None,
    schema: Schema | None,
    embedder: Any,
    on_progress: Progress | None,
    records_per_second: float | None,
) -> Copied:
    """Copy a store; see `VectorStore.copy_to`."""
    with report_to(on_progress) as report:
        pace, target = Pace(report, records_per_second), get_backend(database)
        entry = current.look_up()
        wanted = _plan(entry.active, schema, embedder, target)
        chosen = _choose_name(name, entry.name)
        return copy_store(current.backend, entry, target, chosen, wanted, StoreEmbedder(embedder), pace)


def move_to(
    current: CurrentEntry,
    database: Database,
    name: str | None,
    embedder: Any,
    on_progress: Progress | None,
    records_per_second: float | None,
    *,
    accept_volatile: bool,
) -> Moved:
    """Move a store; see `VectorStore.move_to`."""
    with report_to(on_progress) as report:
        pace, target = Pace(report, records_per_second), get_backend(database)
        current.backend.capabilities.check_writable()
        entry = current.look_up()
        wanted = _plan(entry.active, None, embedder, target)
        chosen = _choose_name(name, entry.name)
        _check_durable(current.backend, target, accept_volatile=accept_volatile)
        return move_store(current.backend, entry, target, chosen, wanted, StoreEmbedder(embedder), pace)


def move_back(
    current: CurrentEntry, database: Database, embedder: Any, on_progress: Progress | None, *, accept_volatile: bool
) -> Moved:
    """Move a store to where it came from; see `VectorStore.move_back`."""
    with report_to(on_progress) as report:
        target = get_backend(database)
        current.backend.capabilities.check_writable()
        target.capabilities.check_writable()
        entry = current.look_up()
        _check_durable(current.backend, target, accept_volatile=accept_volatile)
        return move_store_back(current.backend, entry, target, StoreEmbedder(embedder), Pace(report))


def abort_move(current: CurrentEntry, database: Database | None) -> bool:
    """Give a move or a copy up; see `VectorStore.abort_move`."""
    target = None if database is None else get_backend(database)
    current.backend.capabilities.check_writable()
    return abort_transfer(current.backend, current.look_up(), target)


def list_obstacles(database: Database, name: str, other: Database, new_name: str | None, embedder: Any) -> list[str]:
    """Return what keeps a store from being copied or moved, as sentences; nothing is written."""
    from .obstacles import find_obstacles

    source, target = get_backend(database), get_backend(other)
    entry = find_here(source, check_name(name, "Store"))
    wanted = _leave_out(plan_generation(entry.active, None, embedder), target)
    return find_obstacles(source, entry, target, _choose_name(new_name, name), wanted, StoreEmbedder(embedder))


def list_left_out(database: Database, name: str, other: Database) -> list[str]:
    """Return what a copy or a move leaves behind because the other place does not have it, as sentences."""
    source, target = get_backend(database), get_backend(other).capabilities
    schema = find_here(source, check_name(name, "Store")).active.schema
    fitting, left = target.fit(schema), list[str]()
    if fitting.partitions != schema.partitions:
        left.append(
            f"The copy is not divided into {schema.partitions} partitions, which {target.backend} does not have."
        )
    if fitting.index != schema.index:
        left.append(f"The copy has {fitting.index} in place of {schema.index}, because no Milvus follows it there.")
    return left


def finish_move(database: Database, name: str, other: Database) -> bool:
    """Complete a move whose call was interrupted after the switch, and say whether the store is in the other place."""
    source = get_backend(database)
    return finish(source, source.find(name=check_name(name, "Store")), get_backend(other))


def get_backend(database: Database) -> Backend:
    """Return the backend of the other Database.

    Raises
    ------
    InvalidArgument
        It is no Database.
    """
    from ..database import Database as Place

    if not isinstance(database, Place):
        raise InvalidArgument(
            f"The other place must be a Database, as vecstore.connect() returns it, not {type(database).__name__}."
        )
    return database._backend


def _plan(active: Generation, schema: Schema | None, embedder: Any, target: Backend) -> Generation:
    if isinstance(embedder, tuple):
        raise InvalidArgument("A copy has one embedder. Only open() takes several, as (old, new).")
    StoreEmbedder(embedder)  # refuses what is none
    wanted = plan_generation(active, schema, embedder)
    if schema is None:
        wanted = _leave_out(wanted, target)
    target.capabilities.check_writable()
    target.capabilities.check_schema(wanted.schema)
    return wanted


def _leave_out(wanted: Generation, target: Backend) -> Generation:
    """Return a generation without what the other place does not have; see `list_left_out`."""
    return replace(wanted, schema=target.capabilities.fit(wanted.schema))


def _choose_name(name: str | None, default: str) -> str:
    return default if name is None else check_name(name, "Store")


def _check_durable(source: Backend, target: Backend, *, accept_volatile: bool) -> None:
    """Refuse to move into or out of a place that may forget an acknowledged write, unless the caller accepts that.

    Raises
    ------
    Unsupported
    """
    if accept_volatile:
        return
    for backend in (source, target):
        if (reason := backend.explain_volatility()) is not None:
            raise Unsupported(
                "a move that survives a crash of the server",
                backend.capabilities.backend,
                f"{reason} With accept_volatile=True (--accept-volatile) it moves all the same.",
            )
