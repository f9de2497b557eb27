"""Loads: a store that is filled by several processes, and that nobody sees until everything is in it.

It is incoming, as the target of a copy is: its name is taken, and only the load writes to it. At the end its index is
built and calibrated, its records are counted, and one switch makes it a store.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..arguments import check_whole
from ..backend import Backend, Change, Entry, Generation
from ..calibration.calibrate import Calibration
from ..columns.arrow_input import import_pyarrow, is_arrow
from ..database import connect
from ..embedders.identity import Identity
from ..errors import DuplicateId, InvalidArgument, StoreCorrupt
from ..logs import log_duration
from ..progress import Progress, report_to
from ..schema import Schema
from ..urls import make_absolute
from .incoming_store import attach, check_new, find_begun, give_up, take_name
from .parts import Ticket, write_part
from .process_cache import EmbedderSource, check_source, make_embedder, make_source_absolute
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
                f"The load of store {self._entry.name!r} has {records:,} records, and its parts are said to have "
                f"{self._confirmed:,} of them. Add up what each write_part returned; begin anew where a load goes on "
                "and its parts or files have changed."
            )
        counted, occur = ("1 id", "occurs") if twins == 1 else (f"{twins:,} ids", "occur")
        raise DuplicateId(
            f"{counted} of the load of store {self._entry.name!r} {occur} in more than one table or file, and which of "
            "the records stays would depend on which worker is faster. Remove the twins, or write one after another, "
            "where the last one stays: with bulk.load(…, workers=1) or `vecstore add`."
        )


@contextmanager
def begin(
    url: str,
    name: str,
    schema: Schema,
    *,
    embedder: EmbedderSource = None,
    resume: Ticket | None = None,
    keep: bool = False,
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
    resume : Ticket, optional
        Of an earlier load with the same schema, to go on with it: what its parts wrote is there.
    keep : bool
        Leave what is written where the block raises, so that a later call can go on with it; not after `DuplicateId`.
    on_progress : callable, optional
        Called as ``on_progress(phase, done, total)`` while the index is built; see `Progress`.

    Yields
    ------
    Load

    Raises
    ------
    StoreExists, StoreLocked, StoreMoved, InvalidArgument, Unsupported, MissingExtra
    StoreNotFound
        What ``resume`` names is not there any more.
    SchemaMismatch
        It was begun with another schema.
    DuplicateId
        An id occurs in more than one part, by what was given to `Load.confirm`.
    """
    check_source(embedder)
    model = make_embedder(embedder)
    known = None if model is None else Identity.of(model).to_json()
    with connect(url) as database, report_to(on_progress) as report:
        schema = check_new(database, name, schema, None if model is None else model.dim)
        backend = database._backend
        coming = take_name(backend, name, schema, known) if resume is None else find_begun(backend, resume, schema)
        with backend.builder(coming.uid):
            try:
                coming = attach(backend, coming)
                building = coming.building
                if building is None:
                    raise TypeError("a standby generation is the one under construction")
                ticket = Ticket(make_absolute(url), name, coming.uid, building.id, make_source_absolute(embedder))
                load = Load(backend, coming, replace(building, standby=True), ticket)
                yield load
                load._finish(report)
            except BaseException as error:
                if not keep or isinstance(error, DuplicateId):  # which no further part would mend
                    give_up(backend, coming)
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
    if not isinstance(tables, Iterable):
        raise _explain_tables(tables)
    with report_to(on_progress) as report, begin(url, name, schema, embedder=embedder, on_progress=report) as begun:
        ids = 0
        with closing(run_tasks(partial(write_part, begun.ticket), map(_as_table, tables), workers)) as running:
            for _, written in running:
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
        raise _explain_tables(given)
    pa = import_pyarrow()
    try:
        return pa.table(given)
    except pa.ArrowException as error:  # of a column, among others, since a table alone is an iterable of those
        raise _explain_tables(given) from error


def _explain_tables(given: object) -> InvalidArgument:
    return InvalidArgument(
        f"tables must be an iterable of Arrow tables, and {type(given).__name__} is none of them. Give a list or "
        "generator of pyarrow tables, or of other objects with __arrow_c_stream__; a table alone as [table]."
    )


def _drain_nothing(changes: Sequence[Change]) -> None:
    """Accept that nothing was noted: nobody could write."""
