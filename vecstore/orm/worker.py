"""The worker: claims changed keys, reads the rows, embeds, writes fenced, acknowledges.

The order makes it safe. The claim is committed before the fence is drawn, and the fence is drawn before the rows are
read: of two workers on one row, the one with the larger fence has read later. No transaction is open while a text is
embedded. A worker that dies leaves leases that end, and one that sleeps writes with a fence that is refused.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..errors import EmbedderRequired, InvalidArgument, VecstoreError
from ..records import Record
from .busy_database import repeat
from .keys import Key
from .missing_tables import explain_missing_tables
from .outbox import Claim, Outbox
from .searched_models import SearchedModel
from .sinks import Sink

MAX_ATTEMPTS = 8
"""After so many failures a row is a dead letter."""
LONGEST_DELAY = 300.0
LONGEST_PAUSE = 60.0
BUSY_DELAY = 0.2
"""Seconds until a row is tried again that a transaction of the application holds."""
MOST_UNTENDED = 100_000
"""Changed records after which an index is built or extended although more changes wait. Otherwise it is once the worker
has caught up: many small extensions cost a multiple of one."""
PROBE = "word"
"""A text that every model embeds: where it fails too, the fault is not the row's."""
_OF_THE_PLACE = (OSError, MemoryError, SQLAlchemyError)
"""Not of a row: a network, the machine, the application's database."""
_log = logging.getLogger("vecstore.orm")


@dataclass(slots=True)
class _Batch:
    """The claims on rows of one declaration: what is left of them, and how many records were changed."""

    model: SearchedModel
    fence: int
    claims: dict[Key, list[Claim]]
    records: Mapping[Key, Record] = field(default_factory=dict)
    changed: int = 0


class SyncWorker:
    """Works off the outbox, one batch for each call of `work`.

    Parameters
    ----------
    engine : Engine
        Of the application's database.
    outbox : Outbox
    models : sequence of SearchedModel
    open_sink : callable
        From a declaration to where its vectors go.
    batch_size : int
        Changes that are claimed at once.
    lease : float
        Seconds after which another worker takes what this one has claimed.
    newest : bool
        Claim the newest changes instead of the oldest ones.

    Attributes
    ----------
    settled : int
        Changes that were worked off so far.
    """

    def __init__(
        self,
        engine: Engine,
        outbox: Outbox,
        models: Sequence[SearchedModel],
        open_sink: Callable[[SearchedModel], Sink],
        *,
        batch_size: int = 1_000,
        lease: float = 60.0,
        newest: bool = False,
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._models = {model.name: model for model in models}
        self._later = [model.name for model in models if model.embedder is not None]
        self._open_sink = open_sink
        self._batch_size = batch_size
        self._lease = lease
        self._newest = newest
        self._pauses: dict[str, tuple[float, float]] = {}
        self._untended: dict[str, int] = {}
        self.settled = 0

    def work(self) -> int:
        """Claim one batch, work it off, and return how many changes it had, also such that are left for later.

        Raises
        ------
        MigrationRequired
            The application's database lacks the outbox.
        sqlalchemy.exc.DBAPIError
            The application's database failed. What was claimed is claimed again when its lease ends.
        """
        now = time.monotonic()
        ready = [name for name in self._models if self._pauses.get(name, (0.0, 0.0))[0] <= now]
        # What is searched comes first: a column that a rebuild fills has as many changes as the table has rows.
        with explain_missing_tables(self._engine, self._outbox):
            claims = self._claim([name for name in ready if name not in self._later])
            claims = claims or self._claim([name for name in ready if name in self._later])
        if not claims:
            return 0
        fence = repeat(lambda: self._outbox.draw_fence(self._engine))
        for target in dict.fromkeys(claim.target for claim in claims):
            self._work_off(self._models[target], [claim for claim in claims if claim.target == target], fence)
        has_caught_up = len(claims) < self._batch_size
        for name, changed in list(self._untended.items()):
            if has_caught_up or changed >= MOST_UNTENDED:
                del self._untended[name]
                self._open_sink(self._models[name]).tend(changed)
        return len(claims)

    def _claim(self, targets: Sequence[str]) -> list[Claim]:
        if not targets:
            return []
        return repeat(
            lambda: self._outbox.claim(self._engine, targets, self._batch_size, self._lease, newest=self._newest)
        )

    def _work_off(self, model: SearchedModel, claims: Sequence[Claim], fence: int) -> None:
        batch = _Batch(model, fence, self._group(model, claims))
        try:
            sink = self._open_sink(model)
            batch.records = self._read(batch, list(batch.claims))
            self._delete(sink, batch, [key for key in batch.claims if key not in batch.records])
            self._write(sink, batch, list(batch.records))
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            self._pause(batch, error)
        else:
            self._pauses.pop(model.name, None)
            busy = [claim for claims in batch.claims.values() for claim in claims]
            repeat(lambda: self._outbox.postpone(self._engine, busy, BUSY_DELAY, None, failed=False))
            self._untended[model.name] = self._untended.get(model.name, 0) + batch.changed

    def _group(self, model: SearchedModel, claims: Sequence[Claim]) -> dict[Key, list[Claim]]:
        """Return the claims by key: a row that changed often is embedded once."""
        found: dict[Key, list[Claim]] = {}
        for claim in claims:
            try:
                key = model.keys.parse(claim.key)
            except ValueError:
                self._bury([claim], "The key does not fit the columns of the table's primary key.")
            else:
                found.setdefault(key, []).append(claim)
        return found

    def _read(self, batch: _Batch, keys: Sequence[Key]) -> dict[Key, Record]:
        """Read the rows of some keys; where one of them holds what cannot be read, the others are read without it."""
        try:
            return self._match(batch, repeat(lambda: self._read_records(batch.model, keys)))
        except BaseException as error:
            if not isinstance(error, Exception) or isinstance(error, _OF_THE_PLACE):
                raise
            if len(keys) == 1:
                self._fail(batch, keys[0], error)
                return {}
        middle = len(keys) // 2
        return self._read(batch, keys[:middle]) | self._read(batch, keys[middle:])

    def _read_records(self, model: SearchedModel, keys: Sequence[Key]) -> dict[Key, Record]:
        with Session(self._engine) as session:
            return model.read_records(session, keys)

    def _match(self, batch: _Batch, found: Mapping[Key, Record]) -> dict[Key, Record]:
        """Return the records of claimed keys: a database may find a row by a key that is not exactly its own."""
        for key in found:
            trimmed = tuple(each.rstrip(" ") if isinstance(each, str) else each for each in key)
            if key not in batch.claims and trimmed in batch.claims and trimmed not in found:
                self._bury(batch.claims.pop(trimmed), "The database pads the key with spaces. Use a key of VARCHAR.")
        return {key: record for key, record in found.items() if key in batch.claims}

    def _delete(self, sink: Sink, batch: _Batch, keys: Sequence[Key]) -> None:
        if keys:
            self._acknowledge(batch, sink.delete(keys, batch.fence))

    def _write(self, sink: Sink, batch: _Batch, keys: Sequence[Key]) -> None:
        """Write the records of some keys; where one of them fails, the others are written without it."""
        if not keys:
            return
        try:
            done = sink.write({key: batch.records[key] for key in keys}, batch.fence)
        except BaseException as error:
            if not is_fault_of_rows(error, sink):
                raise
            if len(keys) == 1:
                self._fail(batch, keys[0], error)
                return
        else:
            self._acknowledge(batch, done)
            return
        middle = len(keys) // 2
        self._write(sink, batch, keys[:middle])
        self._write(sink, batch, keys[middle:])

    def _acknowledge(self, batch: _Batch, keys: Collection[Key]) -> None:
        batch.changed += len(keys)
        done = [claim for key in keys for claim in batch.claims[key]]
        repeat(lambda: self._outbox.acknowledge(self._engine, done))
        self.settled += len(done)
        for key in keys:
            del batch.claims[key]

    def _fail(self, batch: _Batch, key: Key, error: BaseException) -> None:
        claims = batch.claims.pop(key)
        reason = describe_error(error)
        attempts = max(claim.attempts for claim in claims) + 1
        if attempts >= MAX_ATTEMPTS or isinstance(error, InvalidArgument):
            _log.warning("%s: a row is a dead letter after %d attempts: %s", batch.model.label, attempts, reason)
            self._bury(claims, reason)
            return
        delay = min(2.0**attempts, LONGEST_DELAY) * random.uniform(0.5, 1.5)  # noqa: S311 - spreads attempts
        repeat(lambda: self._outbox.postpone(self._engine, claims, delay, reason, failed=True))

    def _bury(self, claims: Sequence[Claim], reason: str) -> None:
        repeat(lambda: self._outbox.bury(self._engine, claims, reason))

    def _pause(self, batch: _Batch, error: Exception) -> None:
        """Leave the rest of a batch for later, without counting an attempt: the fault is not that of its rows."""
        _, last = self._pauses.get(batch.model.name, (0.0, 0.5))
        seconds = max(min(last * 2, LONGEST_PAUSE), read_retry_after(error))
        self._pauses[batch.model.name] = (time.monotonic() + seconds, seconds)
        _log.warning("%s: paused for %.1f s: %s", batch.model.label, seconds, type(error).__name__)
        rest = [claim for claims in batch.claims.values() for claim in claims]
        reason = describe_error(error)
        repeat(lambda: self._outbox.postpone(self._engine, rest, seconds, reason, failed=False))


def is_fault_of_rows(error: BaseException, sink: Sink) -> bool:
    """Say whether a write failed because of what one of its rows contains, so that the others can be written."""
    if isinstance(error, VecstoreError):
        return isinstance(error, InvalidArgument) and not isinstance(error, EmbedderRequired)
    if not isinstance(error, Exception) or isinstance(error, _OF_THE_PLACE) or is_rate_limit(error):
        return False
    try:
        sink.probe(PROBE)
    except BaseException as failure:
        if not isinstance(failure, Exception):
            raise
        return False
    return True


def is_rate_limit(error: BaseException) -> bool:
    """Say whether a service refused because there were too many requests, or is out of order for now."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", getattr(response, "status_code", None))
    return isinstance(status, int) and (status == 429 or status >= 500)


def read_retry_after(error: BaseException) -> float:
    """Return after how many seconds a service wants to be asked again, 0 if it does not say so."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return min(max(float(headers.get("retry-after", 0)), 0.0), LONGEST_DELAY)
    except (TypeError, ValueError, AttributeError):
        return 0.0


def describe_error(error: BaseException) -> str:
    """Return what the outbox keeps of an error: a message of ours, or the class, as others may quote a text."""
    return f"{type(error).__name__}: {error}" if isinstance(error, VecstoreError) else type(error).__name__
