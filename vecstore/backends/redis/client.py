"""Commands on the connections of a pool: several in one round trip, each call within its timeout.

redis-py opens the connections and speaks the protocol. Its retries, callbacks and messages are not used, because its
messages may quote a whole command.
"""

from __future__ import annotations

import os
import select
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from vecstore.errors import ForkedStore
from vecstore.inherited_sockets import is_inherited

from ..shared.deadlines import Limit, Socket, Watch
from ..shared.guards import check_usable
from .connections import Connections
from .durability import check_on_disk, make_wait
from .failures import (
    WAITING,
    check_reply,
    hide_host,
    is_lost,
    is_waiting,
    make_timeout,
    make_unknown_outcome,
    read_code,
    translate,
)
from .options import Options

ADVICE = "Call vecstore.connect(client) in the child process: the pool of redis-py opens connections of its own there."
INHERITED = (
    "The client's pool gave a connection that was opened before fork() and belongs to the parent process. "
    "Make another redis.Redis in the child process, then call vecstore.connect(client)."
)

Command = Sequence[Any]
"""A command's words: str, bytes, int or float."""
_TRIES = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1
_WORTH_TRYING = 0.05
"""Seconds; with less time left, a call is not tried again."""


class Unsent(Exception):
    """The connection was lost before the whole request was sent, so the server did nothing."""


class UncheckedIndex(Exception):
    """On this run of the server, the index has not been checked for completeness yet. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """What is known of a connection as long as it keeps its socket."""

    raw: Any
    socket: Socket
    poll: select.poll
    run: str
    """Identifies a run of the server; it changes when the server restarts."""


class Client:
    """Sends commands to one server.

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
        self._peers: weakref.WeakKeyDictionary[Any, _Peer] = weakref.WeakKeyDictionary()
        self._checked: set[tuple[str, str]] = set()
        self._watch = Watch(options.timeout)
        weakref.finalize(self, self._watch.stop)

    def pipeline(self, commands: Sequence[Command], *, writes: bool = False, index: str = "") -> list[Any]:
        """Send commands in one round trip and return their replies; an error reply is returned, not raised.

        Parameters
        ----------
        commands : sequence of Command
        writes : bool
            Whether they change something. Once they may have arrived, they are not sent again.
        index : str
            An index that they search, which must be known to be complete; see `remember_complete`.

        Raises
        ------
        UncheckedIndex, BackendUnavailable, Timeout, UnknownOutcome
        """
        waits = writes and self.options.wait_aof
        if waits:
            commands = [*commands, make_wait(self.options.timeout)]
        limit, pause, lost = Limit(self._watch), _FIRST_PAUSE, 0
        limit.begin()
        while True:
            try:
                replies = self._exchange(commands, limit, index)
            except (Unsent, redis.RedisError, OSError) as error:
                lost += 1
                cause = error.__cause__ or error
                if writes and not isinstance(error, Unsent):
                    raise make_unknown_outcome() from cause
                if read_code(cause) not in WAITING and (lost >= _TRIES or not is_lost(cause) or limit.passed):
                    raise translate(cause, connecting=isinstance(error, Unsent), limit=limit) from hide_host(cause)
                failed: BaseException = cause
            else:
                for reply in replies[:1] if writes else replies:
                    if isinstance(reply, redis.RedisError) and is_waiting(reply):
                        failed = reply
                        break
                else:
                    return check_on_disk(replies) if waits else replies
            if limit.remaining < _WORTH_TRYING or self._closed.wait(pause):
                raise translate(failed, limit=limit) from hide_host(failed)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def execute(self, *command: Any, writes: bool = False) -> Any:
        """Send one command and return its reply.

        Raises
        ------
        VecstoreError
            For an error reply.
        """
        return check_reply(self.pipeline([command], writes=writes)[0])

    def remember_complete(self, run: str, index: str) -> None:
        """Remember that an index is complete on a run of the server; from now on it follows every write."""
        self._checked.add((run, index))

    @contextmanager
    def hold_connection(self) -> Iterator[Any]:
        """Check a connection out for as long as the context lasts; see `execute_on`."""
        with Limit(self._watch) as limit:
            connection = self._check_out(limit)
        try:
            yield connection
        finally:
            connection.disconnect()
            self._connections.check_in(connection)

    def execute_on(self, connection: Any, *command: Any) -> Any:
        """Send one command on a held connection; return its reply.

        Raises
        ------
        VecstoreError
        """
        with Limit(self._watch) as limit:
            try:
                limit.guard(self._identify(connection).socket)
                return check_reply(self._transfer(connection, [command])[0])
            except (Unsent, redis.RedisError, OSError) as error:
                raise translate(error.__cause__ or error, limit=limit) from error

    def close(self) -> None:
        """Close the connections unless they are the application's; a forked child only forgets them."""
        if os.getpid() != self._process:
            self._closed = threading.Event()  # a thread of the parent may have held the lock of the old one
        self._closed.set()
        self._watch.stop()
        if os.getpid() == self._process:
            self._connections.close()

    def check_usable(self) -> None:
        """Refuse to work after a fork or after `close`."""
        advice = "" if self._connections.owned else ADVICE
        check_usable(self._process, closed=self._closed.is_set(), advice=advice)

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until `close`."""
        self._closed.wait(seconds)
        self.check_usable()

    def _exchange(self, commands: Sequence[Command], limit: Limit, index: str) -> list[Any]:
        self.check_usable()
        try:
            connection = self._check_out(limit)
        except BaseException as error:
            self._watch.remove(limit)
            if isinstance(error, redis.RedisError | OSError):
                raise Unsent from error
            raise
        try:
            if index and (self._peers[connection].run, index) not in self._checked:
                raise UncheckedIndex
            return self._transfer(connection, commands)
        except UncheckedIndex:
            raise
        except BaseException:
            # After an interrupt, too: the replies still to come on this connection do not belong to the next call.
            connection.disconnect()
            raise
        finally:
            self._watch.remove(limit)
            if limit.passed:
                connection.disconnect()
            self._connections.check_in(connection)

    def _check_out(self, limit: Limit) -> Any:
        self._watch.add(limit)
        connection: Any = self._connections.check_out()
        try:
            if connection._sock is None:  # its own look at that costs 4 µs of a search
                connection.connect()
            peer = self._identify(connection)
            if peer.poll.poll(0):  # something to read on an idle connection: nearly always its end
                connection.disconnect()
                connection.connect()
                peer = self._identify(connection)
            limit.guard(peer.socket)
            if limit.passed:
                raise make_timeout()
        except BaseException:
            connection.disconnect()
            self._connections.check_in(connection)
            raise
        return connection

    def _identify(self, connection: Any) -> _Peer:
        """Return what is known of a connection; ask the server where redis-py has given it a new socket."""
        raw = connection._sock
        known = self._peers.get(connection)
        if known is None or known.raw is not raw:
            if is_inherited(raw.fileno()):  # from a pool that, unlike redis-py's, keeps its connections after a fork
                raise ForkedStore(INHERITED)
            poll = select.poll()
            poll.register(raw.fileno(), select.POLLIN)
            [info] = self._transfer(connection, [("INFO", "server")])
            if is_waiting(info):
                raise info
            known = self._peers[connection] = _Peer(
                raw, Socket(raw.fileno(), owned=self._connections.owned), poll, parse_run(check_reply(info))
            )
        return known

    def _transfer(self, connection: Any, commands: Sequence[Command]) -> list[Any]:
        packed = connection.pack_commands(commands) if len(commands) > 1 else connection.pack_command(*commands[0])
        try:
            connection.send_packed_command(packed)
        except (redis.RedisError, OSError) as error:
            if len(commands) > 1:
                raise  # the first of them may have arrived whole
            raise Unsent from error
        replies = []
        for _ in commands:
            try:
                replies.append(connection.read_response(disable_decoding=True))
            except redis.ResponseError as error:
                replies.append(error)
            except redis.ConnectionError as error:
                if read_code(error) not in WAITING:
                    raise
                replies.append(error)
        return replies


def parse_run(info: bytes) -> str:
    """Return what identifies the run of a server, from its reply to INFO."""
    _, _, rest = info.partition(b"run_id:")
    return rest.partition(b"\r\n")[0].decode()
