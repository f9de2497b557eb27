"""Loads: a store that is filled by several processes, and that nobody sees until everything is in it.

It is incoming, as the target of a copy is: its name is taken, and only the load writes to it. At the end its index is
built and calibrated, its records are counted, and one switch makes it a store.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..arguments import check_whole
from ..backend import Backend, Change, Entry, Generation, Remote
from ..calibration.calibrate import Calibration
from ..columns.arrow_input import import_pyarrow, is_arrow
from ..database import Database, connect
from ..embedders.identity import Identity
from ..errors import DuplicateId, InvalidArgument, StoreCorrupt, StoreExists, StoreLocked, StoreNotFound, Unsupported
from ..logs import log_duration
from ..lookup import check_here
from ..names import check_name
from ..new_store import fill_dim
from ..progress import Progress, report_to
from ..schema import Schema
from .parts import Ticket, write_part
from .process_cache import EmbedderSource, check_source, make_embedder
from .workers import run_tasks


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of a load.

    Attributes
    ----------
    records : int
        Records of the new store.
    seconds : float
    """

    records: int
    seconds: float


class Load:
    """A store that is being filled; see `begin`.

    Attributes
    ----------
    ticket : Ticket
        What `write_part` needs, in any process.
    """

    def __init__(self, backend: Backend, entry: Entry, building: Generation, ticket: Ticket) -> None:
        self._backend = backend
        self._entry = entry
        self._building = building
        self._began = time.monotonic()
        self._confirmed: int | None = None
        self.ticket = ticket
        self.result: Loaded | None = None
        """What was loaded; None until the block of `begin` has ended."""

    def confirm(self, ids: int) -> None:
        """Say how many ids all parts have together, by what `write_part` returned: the store must end up with so many.

        Raises
        ------
        InvalidArgument
        """
        self._confirmed = check_whole("ids", ids, low=0)

    def _finish(self, report: Progress | None) -> None:
        backend, building, name = self._backend, self._building, self._entry.name
        records = backend.count(building, None)
        self._check_count(records)
        with log_duration("load", "index of store %s built and calibrated", name):
            calibration = Calibration(backend, self._entry, report)
            state = backend.index_state(building)
            if state.vectors >= (state.min_rows or 0):
                backend.build_index(building, report, calibration.measure)
            calibration.finish(building)
        problems = backend.verify(building).problems
        if problems:
            raise StoreCorrupt(f"The load of store {name!r} is given up: {problems[0]}")
        there = backend.switch(self._entry.uid, building.id, _drain_nothing)
        if there.previous is not None:
            backend.drop(there.uid, there.previous.id)
        self.result = Loaded(records, time.monotonic() - self._began)

    def _check_count(self, records: int) -> None:
        if self._confirmed is None or self._confirmed == records:
            return
        twins = self._confirmed - records
        if twins < 0:
            raise InvalidArgument(
                f"The parts of the load of store {self._entry.name!r} are said to have {self._confirmed:,} ids, and "
                f"{records:,} were written. Add up what each write_part returned."
            )
        raise DuplicateId(
            f"{twins:,} ids of the load of store {self._entry.name!r} occur in more than one table, and which of the "
            "records stays would depend on which worker is faster. Remove the twins, or load with workers=1, where the "
            "last one stays."
        )


@contextmanager
def begin(
    url: str,
    name: str,
    schema: Schema,
    *,
    embedder: EmbedderSource = None,
    on_progress: Progress | None = None,
) -> Iterator[Load]:
    """Begin a load whose parts another program writes: Ray, Dask, Spark, or processes of its own.

    At the end of the block the store appears with its index. If the block raises, it is removed, and its name is free
    again. What a killed process has left is removed by the next load of that name, or by ``drop(name, moved=True)``.

    Parameters
    ----------
    url : str
        As for `connect`. Not ``memory:``, which other processes do not see.
    name : str
        Of a store that does not exist.
    schema : Schema
        Its ``dim`` is optional if an embedder is given.
    embedder : str or function, optional
        A name as for `vecstore.embedders.load`, or a function of a module that returns an `Embedder`.
    on_progress : callable, optional
        Called as ``on_progress(phase, done, total)`` while the index is built; see `Progress`.

    Yields
    ------
    Load

    Raises
    ------
    StoreExists, StoreLocked, StoreMoved, InvalidArgument, Unsupported, MissingExtra
    DuplicateId
        An id occurs in more than one part, by what was given to `Load.confirm`.
    """
    check_source(embedder)
    model = make_embedder(embedder)
    known = None if model is None else Identity.of(model).to_json()
    with connect(url) as database, report_to(on_progress) as report:
        schema = _check(database, name, schema, None if model is None else model.dim)
        backend = database._backend
        _remove_left(backend, name)
        line = Generation(uuid.uuid4().hex, schema, known)
        move = uuid.uuid4().hex
        coming = backend.create(
            name, replace(line, remote=Remote(backend.capabilities.backend, move, name, move, "load"))
        )
        with backend.builder(coming.uid):
            try:
                coming = _attach(backend, name, replace(line, id=uuid.uuid4().hex, standby=True))
                if coming.building is None:
                    raise TypeError("a standby generation is the one under construction")
                ticket = Ticket(url, name, coming.uid, coming.building.id, embedder)
                load = Load(backend, coming, replace(coming.building, standby=True), ticket)
                yield load
                load._finish(report)
            except BaseException:
                _give_up(backend, coming)
                raise


def load(
    url: str,
    name: str,
    tables: Iterable[Any],
    schema: Schema,
    *,
    embedder: EmbedderSource = None,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> Loaded:
    """Make a store of tables, written by several processes; it appears when everything is in it.

    A worker that dies loses nothing: its tables are written again. The program's main module must be importable, that
    is, begin with ``if __name__ == "__main__":``, because processes are started anew.

    Parameters
    ----------
    url, name, schema, embedder
        As for `begin`.
    tables : iterable of objects with ``__arrow_c_stream__``
        Their columns are those of `VectorStore.upsert`. They are read as workers become free, a few at a time.
    workers : int
        Processes. With 1, this process writes itself, and of an id in several tables the last record stays.
    on_progress : callable, optional
        Called as ``on_progress(phase, done, total)``; see `Progress`.

    Returns
    -------
    Loaded

    Raises
    ------
    StoreExists, StoreLocked, StoreMoved, InvalidArgument, Unsupported, MissingExtra, EmbedderRequired
    DuplicateId
        With more than one worker, an id occurs in more than one table.
    WorkerDied
    """
    workers = check_whole("workers", workers)
    with report_to(on_progress) as report, begin(url, name, schema, embedder=embedder, on_progress=report) as begun:
        ids = 0
        for _, written in run_tasks(partial(write_part, begun.ticket), map(_as_table, tables), workers):
            ids += written
            if report:
                report("writing", ids, None)
        if workers > 1:
            begun.confirm(ids)
    if begun.result is None:
        raise TypeError("a load that ended has a result")
    return begun.result


def _as_table(given: Any) -> Any:
    """Return a table that can be pickled, which a stream of batches cannot."""
    if not is_arrow(given):
        raise InvalidArgument(
            f"tables must be an iterable of Arrow tables, and has {type(given).__name__}. Give a list or generator of "
            "pyarrow tables, or of other objects with __arrow_c_stream__."
        )
    return import_pyarrow().table(given)


def _check(database: Database, name: str, schema: Schema, dim: int | None) -> Schema:
    """Return the schema with its dimension, if the store can be made.

    Raises
    ------
    InvalidArgument, DimensionMismatch, Unsupported, StoreExists, StoreMoved
    """
    check_name(name, "Store")
    if not isinstance(schema, Schema):
        raise InvalidArgument(f"schema must be a Schema, not {type(schema).__name__}.")
    capabilities = database.capabilities
    if not capabilities.shared:
        raise Unsupported("loading by several processes", capabilities.backend)
    capabilities.check_writable()
    schema = fill_dim(schema, dim)
    capabilities.check_schema(schema)
    return schema


def _remove_left(backend: Backend, name: str) -> None:
    """Remove what a load of that name has left whose process was killed; refuse any other store.

    Raises
    ------
    StoreExists, StoreMoved
    StoreLocked
        Another load or a copy is filling it.
    """
    try:
        found = backend.find(name=name)
    except StoreNotFound:
        return
    if found.active.remote is None or found.active.remote.kind != "load":
        check_here(found)
        kept = found.previous
        if kept is not None and kept.remote is not None and kept.remote.kind == "load":  # killed right after its switch
            backend.drop(found.uid, kept.id)
        raise StoreExists(
            f"There is already a store {name!r}. Load under another name, or add to it with vecstore.bulk.write_batch."
        )
    with backend.builder(found.uid):  # the other load's, as long as it lives
        backend.drop(found.uid)


def _attach(backend: Backend, name: str, building: Generation) -> Entry:
    try:
        return backend.create(name, building)
    except StoreNotFound:
        raise StoreLocked(f"Another load of store {name!r} began at the same time.") from None


def _give_up(backend: Backend, coming: Entry) -> None:
    """Remove a load, unless its switch has happened."""
    try:
        found = backend.find(uid=coming.uid)
    except StoreNotFound:
        return
    if found.is_incoming:
        backend.drop(coming.uid)


def _drain_nothing(changes: Sequence[Change]) -> None:
    """Accept that nothing was noted: nobody could write."""
