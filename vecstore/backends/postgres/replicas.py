"""Searches on read replicas, where a replica is known to be recent enough and to have every write of this Database.

A replica's own clock says nothing: cut off from the primary, it believes to be up to date. So the primary is asked for
its position in the log now and then. A replica that has replayed a position is no older than the moment at which that
was read. A search takes a position that was read after the last write of this Database, and no longer ago than the lag
that is allowed; where there is none, the primary is asked again, which costs a round trip.

A replica is left out where it is behind, gone, promoted, or on another timeline: it may have lost writes that the
primary has, or have others. The primary answers then. What a replica is and has replayed is asked on the connection on
which it searches, since an address may lead to several servers.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vecstore.errors import InvalidUrl, VecstoreError
from vecstore.logs import log_step, log_warning

from .client import Client
from .failures import CANCELLED, GONE, read_state
from .replica import OTHER_PLACE, PLACE, Replica, ReplicatedDatabase
from .server_checks import ServerWarning
from .statements import Answer, Statement

_POSITION = Statement(
    "SELECT lsn::text, ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::int FROM pg_current_wal_insert_lsn() AS lsn",
    MappingProxyType({}),
)
_STATE = Statement(
    "SELECT system_identifier = %(system)s::bigint AND current_user = %(role)s::text "
    "AND (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) = %(database)s::bigint, "
    "pg_is_in_recovery() AND timeline_id = %(timeline)s::int AND min_recovery_end_timeline IN (0, %(timeline)s::int) "
    "AND NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE received_tli <> %(timeline)s::int) "
    "AND pg_last_wal_replay_lsn() >= (%(lsn)s::text)::pg_lsn "
    "FROM pg_control_system(), pg_control_checkpoint(), pg_control_recovery()",
    MappingProxyType({}),
)
"""Whether it is a replica of the place, and whether it has replayed a position.

The timeline of the last restartpoint is old for a while after a change; that of the receiver is not, and is null
without a right to it.
"""

_ANSWERS, _FAILED = "answering", "failed"


@dataclass(frozen=True, slots=True)
class Position:
    """Where the primary's log was.

    Attributes
    ----------
    lsn : str
    timeline : int
    asked : float
        When that was asked, by `time.monotonic`: the log was there then or later.
    """

    lsn: str
    timeline: int
    asked: float


class Replicas:
    """The replicas of one Database. Threads may share it.

    Parameters
    ----------
    primary : Client
    replicas : sequence of Replica
    lag : float
        Seconds by which a search may be behind other Databases' writes.

    Raises
    ------
    InvalidUrl
        A replica that can be reached is none of this primary.
    """

    def __init__(self, primary: Client, replicas: Sequence[Replica], lag: float) -> None:
        self._primary = primary
        self._replicas = list(replicas)
        self._lag = lag
        self._turn = itertools.count()
        self._written = 0.0
        self._positions: deque[Position] = deque(maxlen=8)
        self._lock = threading.Lock()
        self._process = os.getpid()
        [(system, database, role, is_standby)] = primary.run(PLACE, {})
        if is_standby:
            raise InvalidUrl("The URL leads to a standby, so it cannot have replicas. Give the primary's URL.")
        self._place = ReplicatedDatabase(system, database, role)
        self._timeline = self._ask_position().timeline
        try:
            self._connect_all()
        except BaseException:
            self.close()  # those before it are connected
            raise

    def _connect_all(self) -> None:
        began = time.monotonic()
        for each in self._replicas:
            try:
                each.get_client(self._place)
            except InvalidUrl:
                raise
            except VecstoreError as error:
                self._leave_alone(each, error)
                if self._is_over(began):
                    return  # searches connect to the others

    def _is_over(self, began: float) -> bool:
        """Say whether replicas have taken as long as one call may take."""
        return time.monotonic() - began >= self._primary.options.timeout

    def describe(self) -> str:
        """Return what the last searches found the replicas to be."""
        found = Counter(each.state for each in self._replicas)
        return ", ".join(f"{count} {state}" for state, count in sorted(found.items()))

    def note_written(self) -> None:
        """Take note that a write of this Database has ended, whatever its outcome."""
        if os.getpid() != self._process:
            return  # nothing was written, and a thread of the parent may have held the lock at the fork
        with self._lock:
            self._written = max(self._written, time.monotonic())

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer | None:
        """Run a search on a replica; return None where the primary has to answer.

        Raises
        ------
        ForkedStore, InvalidArgument
        Timeout
            The search itself takes longer than the primary's timeout.
        VecstoreError
            The primary cannot be asked.
        """
        self._primary.check_usable()  # before any lock, which a thread of the parent may have held at a fork
        position: Position | None = None
        first, began = next(self._turn), time.monotonic()
        for number in range(len(self._replicas)):
            replica = self._replicas[(first + number) % len(self._replicas)]
            client = self._get_client(replica)
            if client is None:
                if self._is_over(began):
                    return None  # it hung, and the next ones may hang too
                continue
            position = position or self._find_position()
            if position.timeline != self._timeline:
                for each in self._replicas:
                    self._note_state(each, "left out, because the primary changed")
                return None  # the primary is another server by now, or the same one after a recovery
            try:
                answer = self._ask(client, position, statement, values)
            except InvalidUrl as error:
                self._give_up(replica, error)
                continue
            except VecstoreError as error:  # gone, cancelled by the recovery, or without a table that was dropped
                is_over = self._is_over(began)
                state = read_state(error.__cause__ or error)
                if state == GONE:
                    return None  # dropped since the check, as after a rebuild: the replica is well
                if state == CANCELLED:
                    # The search is slow, not the replica: another one would need as long.
                    if is_over:
                        raise
                    return None
                self._leave_alone(replica, error)
                if is_over:
                    return None
                continue
            self._note_state(replica, _ANSWERS if answer else "not recent enough")
            if answer:
                return answer
        return None

    def close(self) -> None:
        """End the connections to replicas."""
        for each in self._replicas:
            if os.getpid() != self._process:
                each.forget()
            else:
                each.close()

    def _get_client(self, replica: Replica) -> Client | None:
        try:
            return replica.get_client(self._place)
        except InvalidUrl as error:
            self._give_up(replica, error)
        except VecstoreError as error:
            self._leave_alone(replica, error)
        return None

    def _leave_alone(self, replica: Replica, error: VecstoreError) -> None:
        replica.rest()
        if self._note_state(replica, f"{_FAILED} ({type(error).__name__})"):
            message = "replica %d of %d failed (%s): the primary answers in its place until it is back"
            log_warning("replicas", message, *self._find_number(replica), type(error).__name__)

    def _note_state(self, replica: Replica, state: str) -> bool:
        """Keep what a replica is found to be, and return whether it has just begun to fail."""
        with self._lock:
            before, replica.state = replica.state, state
        had_failed = before.startswith(_FAILED)
        if had_failed and state == _ANSWERS:
            log_step("replicas", "replica %d of %d answers again", *self._find_number(replica))
        return not had_failed and state.startswith(_FAILED)

    def _find_number(self, replica: Replica) -> tuple[int, int]:
        return self._replicas.index(replica) + 1, len(self._replicas)

    def _give_up(self, replica: Replica, error: InvalidUrl) -> None:
        # It rests first, since a warning may be an error.
        replica.rest(float("inf"))
        replica.state = "refused"
        warnings.warn(f"{error} It is not used.", ServerWarning, stacklevel=3)

    def _ask(self, client: Client, position: Position, statement: Statement, values: Mapping[str, Any]) -> Answer:
        place = self._place
        state = {"system": place.system, "database": place.database, "role": place.role}
        (is_ours, _), answer = client.run_checked(
            _STATE, {**state, "timeline": position.timeline, "lsn": position.lsn}, statement, values
        )
        if not is_ours:
            raise InvalidUrl(OTHER_PLACE)
        return answer

    def _find_position(self) -> Position:
        """Return a position that covers this Database's writes and is recent enough; the oldest, to wait least."""
        with self._lock:
            since = max(self._written, time.monotonic() - self._lag)
            known = [each for each in self._positions if each.asked > since]
        return min(known, key=lambda each: each.asked) if known else self._ask_position()

    def _ask_position(self) -> Position:
        """Ask the primary, without the lock: where it hangs, searches would wait for it one after another."""
        asked = time.monotonic()
        [(lsn, timeline)] = self._primary.run(_POSITION, {})
        found = Position(lsn, timeline, asked)
        with self._lock:
            self._positions.append(found)
        return found
