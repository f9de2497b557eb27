"""Writing tables into a store that is there, from any number of processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ..columns.given import ArrowStream
from ..database import connect
from ..errors import StoreNotFound, Unsupported
from ..progress import Progress, report_to
from ..store import VectorStore
from ..upkeep import tend
from .process_cache import EmbedderSource, ProcessCache, check_source, make_embedder

_stores = ProcessCache[VectorStore]()


def write_batch(url: str, name: str, table: ArrowStream, *, embedder: EmbedderSource = None) -> int:
    """Upsert the rows of a table, and return how many there were.

    A process keeps its connection and its model for the next call. The index is neither built nor extended: searches
    stay complete, and `finish` does that once at the end. A call that is repeated, or that runs twice at the same
    time, leaves what one call leaves.

    Parameters
    ----------
    url : str
        As for `connect`. Not ``memory:``, which other processes do not see.
    name : str
        A store that is there.
    table : object with ``__arrow_c_stream__``
        Its columns are those of `VectorStore.upsert`: id, vector and text; each other one is metadata.
    embedder : str or function, optional
        A name as for `vecstore.embedders.load`, or a function of a module that returns an `Embedder`.

    Raises
    ------
    InvalidArgument, StoreNotFound, EmbedderMismatch, EmbedderRequired, PartialWrite, Unsupported
    """
    check_source(embedder)
    key = (url, name, embedder)

    def write() -> int:
        return _stores.get(key, lambda closing: _open(closing, url, name, embedder)).upsert(table)

    try:
        return write()
    except StoreNotFound:  # dropped since an earlier call; perhaps there is another one of that name
        _stores.forget(key)
        return write()


def finish(url: str, name: str, *, on_progress: Progress | None = None) -> None:
    """Build or extend the index of a store and calibrate it, where its records call for it: once, after `write_batch`.

    Raises
    ------
    StoreNotFound
    """
    with connect(url) as database, report_to(on_progress) as report:
        tend(database.open(name)._current, 1, report)


def _open(closing: ExitStack, url: str, name: str, embedder: EmbedderSource) -> VectorStore:
    database = closing.enter_context(connect(url))
    if not database.capabilities.shared:
        raise Unsupported(
            "writing from several processes", database.capabilities.backend, "Load into files, PostgreSQL or Redis."
        )
    store = database.open(name, embedder=make_embedder(embedder))
    closing.enter_context(_without_upkeep(store))
    return store


@contextmanager
def _without_upkeep(store: VectorStore) -> Iterator[None]:
    """Let a store's writes leave their upkeep to `finish`, also when the store is closed."""
    store._loading.enter()
    yield
