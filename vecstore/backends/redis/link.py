"""Commands on connections of a pool, several in one round trip, each call within its time.

redis-py keeps the pool and speaks the protocol; its own retries, callbacks and messages, which may hold whole commands,
are passed by.
"""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from vecstore.errors import StorageFailed, Timeout

from ..shared.deadlines import Limit, Socket, Watch
from ..shared.guards import check_usable
from .connections import Connections
from .failures import WAITING, code_of, is_lost, late, meaning, unknown
from .options import Options

Command = Sequence[Any]
"""A command's words: str, bytes, int or float."""
_TRIES = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1
_WORTH_TRYING = 0.05


class Unsent(Exception):
    """The connection was lost before all of a request was sent: the server did nothing."""


class Untrusted(Exception):
    """The server at the other end is one of which it is not known that an index is complete; nothing was sent."""


@dataclass(frozen=True, slots=True)
class _Line:
    """What is known of a connection as long as it has the same socket."""

    raw: Any
    socket: Socket
    poll: select.poll
    run: str
    """Identifies the run of the server at the other end: a server that is started anew is another one."""


class Link:
    """Connections to one server.

    Parameters
    ----------
    connections : Connections
    options : Options
    """

    def __init__(self, connections: Connections, options: Options) -> None:
        self.options = options
        self._connections = connections
        self._process = os.getpid()
        self._closed = threading.Event()
        self._lines: weakref.WeakKeyDictionary[Any, _Line] = weakref.WeakKeyDictionary()
        self._trusted: set[tuple[str, str]] = set()
        self._watch = Watch(options.timeout)
        weakref.finalize(self, self._watch.stop)

    def ask(self, commands: Sequence[Command], *, changes: bool = False, index: str = "") -> list[Any]:
        """Send commands and return their replies; an error reply is returned, not raised.

        Parameters
        ----------
        commands : sequence of Command
        changes : bool
            Whether they change something: they are not sent twice then, once they may have arrived.
        index : str
            An index that they look into: it has to be known that it is complete; see `trust`.

        Raises
        ------
        Untrusted, BackendUnavailable, Timeout, UnknownOutcome
        """
        waits = changes and self.options.wait_aof
        if waits:
            commands = [*commands, ("WAITAOF", 1, 0, max(1, int(self.options.timeout * 1000) // 2))]
        limit, pause, lost = Limit(self._watch), _FIRST_PAUSE, 0
        limit.begin()
        while True:
            try:
                replies = self._exchanged(commands, limit, index)
            except (Unsent, redis.RedisError, OSError) as error:
                lost += 1
                cause = error.__cause__ or error
                if changes and not isinstance(error, Unsent):
                    raise unknown() from cause
                if code_of(cause) not in WAITING and (lost >= _TRIES or not is_lost(cause) or limit.passed):
                    raise meaning(cause, connecting=isinstance(error, Unsent), limit=limit) from cause
                failed: BaseException = cause
            else:
                waiting = next((each for each in replies if is_waiting(each)), None)
                if waiting is None or (changes and not is_waiting(replies[0])):
                    return _on_disk(replies) if waits else replies
                failed = waiting
            if limit.remaining < _WORTH_TRYING or self._closed.wait(pause):
                raise meaning(failed, limit=limit) from failed
            pause = min(2 * pause, _LONGEST_PAUSE)

    def tell(self, *command: Any, changes: bool = False) -> Any:
        """Send one command and return its reply.

        Raises
        ------
        VecstoreError
            For an error reply.
        """
        return checked(self.ask([command], changes=changes)[0])

    def trust(self, run: str, index: str) -> None:
        """Take note that an index is complete on a run of the server, and follows every write from now on."""
        self._trusted.add((run, index))

    @contextmanager
    def kept(self) -> Iterator[Any]:
        """Lend a connection for as long as the context lasts; see `exchange`."""
        with Limit(self._watch) as limit:
            connection = self._lent(limit)
        try:
            yield connection
        finally:
            connection.disconnect()
            self._connections.give(connection)

    def exchange(self, connection: Any, *command: Any) -> Any:
        """Send one command on a connection that is kept; return its reply.

        Raises
        ------
        VecstoreError
        """
        with Limit(self._watch) as limit:
            try:
                limit.guard(self._line_of(connection).socket)
                return checked(self._replies(connection, [command])[0])
            except (Unsent, redis.RedisError, OSError) as error:
                raise meaning(error.__cause__ or error, limit=limit) from error

    def close(self) -> None:
        """End the connections where they are ours."""
        self._closed.set()
        self._watch.stop()
        if os.getpid() == self._process:
            self._connections.close()

    def check_usable(self) -> None:
        """Refuse to work after a fork or after `close`."""
        check_usable(self._process, closed=self._closed.is_set())

    def pause(self, seconds: float) -> None:
        """Wait for others, no longer than until `close`."""
        self._closed.wait(seconds)
        self.check_usable()

    def _exchanged(self, commands: Sequence[Command], limit: Limit, index: str) -> list[Any]:
        self.check_usable()
        try:
            connection = self._lent(limit)
        except BaseException as error:
            self._watch.remove(limit)
            if isinstance(error, redis.RedisError | OSError):
                raise Unsent from error
            raise
        try:
            if index and (self._lines[connection].run, index) not in self._trusted:
                raise Untrusted
            return self._replies(connection, commands)
        except Untrusted:
            raise
        except BaseException:
            # Of an interrupt, too: what still comes on this connection is not the next call's.
            connection.disconnect()
            raise
        finally:
            self._watch.remove(limit)
            if limit.passed:
                connection.disconnect()
            self._connections.give(connection)

    def _lent(self, limit: Limit) -> Any:
        self._watch.add(limit)
        connection: Any = self._connections.take()
        try:
            line = self._line_of(connection)
            if line.poll.poll(0):  # something waits on an idle connection: its end, in nearly all cases
                connection.disconnect()
                connection.connect()
                line = self._line_of(connection)
            limit.guard(line.socket)
            if limit.passed:
                raise late()
        except BaseException:
            connection.disconnect()
            self._connections.give(connection)
            raise
        return connection

    def _line_of(self, connection: Any) -> _Line:
        """Return what is known of a connection, asked anew where its socket, which redis-py keeps to itself, is."""
        raw = connection._sock
        known = self._lines.get(connection)
        if known is None or known.raw is not raw:
            poll = select.poll()
            poll.register(raw.fileno(), select.POLLIN)
            [info] = self._replies(connection, [("INFO", "server")])
            if is_waiting(info):
                raise info
            known = self._lines[connection] = _Line(raw, Socket(raw.fileno()), poll, run_of(checked(info)))
        return known

    def _replies(self, connection: Any, commands: Sequence[Command]) -> list[Any]:
        packed = connection.pack_commands(commands) if len(commands) > 1 else connection.pack_command(*commands[0])
        try:
            connection.send_packed_command(packed)
        except (redis.RedisError, OSError) as error:
            if len(commands) > 1:
                raise  # the first of them may have arrived whole
            raise Unsent from error
        return [_reply(connection) for _ in commands]


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response(disable_decoding=True)
    except redis.ResponseError as error:
        return error
    except redis.ConnectionError as error:
        if code_of(error) in WAITING:
            return error
        raise


def run_of(info: bytes) -> str:
    """Return what identifies the run of a server, from what INFO says."""
    _, _, rest = info.partition(b"run_id:")
    return rest.partition(b"\r\n")[0].decode()


def _on_disk(replies: list[Any]) -> list[Any]:
    """Take the server's word on the append-only file off the replies.

    Raises
    ------
    Timeout, StorageFailed
    """
    *others, aof = replies
    if isinstance(others[0], redis.RedisError):  # nothing was written
        return others
    if isinstance(aof, redis.RedisError):
        raise StorageFailed(
            "The write is made, but the server could not wait for its append-only file. Turn appendonly on there."
        ) from aof
    if aof[0] < 1:
        raise Timeout(
            "The write is made, but was not on the disk within half of the timeout. Look at the server's disk."
        )
    return others


def is_waiting(reply: Any) -> bool:
    """Say whether a reply is an error that passes."""
    return isinstance(reply, redis.RedisError) and code_of(reply) in WAITING


def checked(reply: Any) -> Any:
    """Return a reply, or raise what its error means."""
    if isinstance(reply, redis.RedisError):
        raise meaning(reply) from reply
    return reply


def now() -> float:
    """Return seconds of a clock that never goes back."""
    return time.monotonic()
