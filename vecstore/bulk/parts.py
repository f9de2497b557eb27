"""Writing one part of a load into the store that is being filled, in any process."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import chain

from ..backend import Backend, Generation, Superseded
from ..columns.given import ArrowStream, Columns
from ..errors import InvalidArgument, StoreLocked, StoreNotFound
from ..incoming import convert, cut, needs_embedder
from ..records import Record
from ..registry import connect
from ..store_embedder import StoreEmbedder
from .process_cache import EmbedderSource, ProcessCache, make_embedder


@dataclass(frozen=True)
class Ticket:
    """What a worker needs to write into a load; it can be pickled.

    Attributes
    ----------
    url : str
        Not shown, because it may contain a password.
    name : str
    uid, generation : str
        The store that is being filled.
    embedder : str or function, optional
    """

    url: str = field(repr=False)
    name: str
    uid: str
    generation: str
    embedder: EmbedderSource = None


@dataclass(frozen=True, slots=True)
class _Open:
    backend: Backend
    generation: Generation
    embedder: StoreEmbedder


_open_loads = ProcessCache[_Open]()


def write_part(ticket: Ticket, table: ArrowStream) -> int:
    """Write the rows of a table into a load, and return how many ids they have.

    Of an id that occurs twice in the table, the last row stays. A call that is repeated leaves what one call leaves.

    Raises
    ------
    InvalidArgument, EmbedderMismatch, EmbedderRequired
    StoreLocked
        The load has ended, or was given up.
    """
    return write_batches(ticket, [table])


def write_batches(ticket: Ticket, given: Iterable[Iterable[Record] | Columns | ArrowStream]) -> int:
    """Write records or columns into a load one after another, and return how many ids all of them have together."""
    if not isinstance(ticket, Ticket):
        raise InvalidArgument(f"ticket must be the one of a load, load.ticket, not {type(ticket).__name__}.")
    found = _open_loads.get(ticket, lambda stack: _connect(stack, ticket))
    generation, ids, first = found.generation, set[str](), 0
    for batch in chain.from_iterable(cut(each, None, generation.schema) for each in given):
        embeds = needs_embedder(batch)
        embed = found.embedder.choose_for_documents(generation, ticket.name) if embeds else None
        rows = convert(batch, generation.schema, embed, unique=False, first=first)
        first += len(batch)
        try:
            found.backend.write(generation, rows, insert=False)
        except Superseded:
            _open_loads.forget(ticket)
            raise _explain_end(ticket) from None
        ids.update(rows.ids)
    return len(ids)


def _connect(stack: ExitStack, ticket: Ticket) -> _Open:
    backend = stack.enter_context(closing(connect(ticket.url)))
    try:
        building = backend.find(uid=ticket.uid).building
    except StoreNotFound:
        building = None
    if building is None or building.id != ticket.generation:
        raise _explain_end(ticket)
    return _Open(backend, replace(building, standby=True), StoreEmbedder(make_embedder(ticket.embedder)))


def _explain_end(ticket: Ticket) -> StoreLocked:
    return StoreLocked(f"The load of store {ticket.name!r} has ended or was given up. Begin another one.")
