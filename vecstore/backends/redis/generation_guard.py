"""Calls about one generation, which count only while it has its role and its index is complete."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import redis

from vecstore.backend import Generation, Superseded
from vecstore.errors import BackendUnavailable, IndexNotReady, StoreCorrupt, StoreLocked

from ..shared.deadlines import GRACE
from .client import Client, Command, UncheckedIndex, parse_run
from .failures import MENDING, NO_INDEX, NO_SCRIPT, check_reply, read_code, translate
from .indexes import IndexInfo
from .keys import Keys
from .leases import Leases
from .scripts import Script

ATTEMPTS = 8
"""How often one call follows an index or a role that changes meanwhile."""
_PAUSE = 0.005
_COUNTS, _PAUSE_BETWEEN_COUNTS = 10, 0.1
"""Right after a restart, the engine may count more hashes than there are; on a busy machine 0.3 s were not enough."""
_LOCKED = "A switch of this store lasted longer than lock_timeout. Try again."


@dataclass(frozen=True, slots=True)
class GenerationState:
    """What the server says of a generation, as far as searches depend on it.

    Attributes
    ----------
    reply : sequence of bytes or None
        The values of `ATTRIBUTES` as the server sent them.
    role : str
        ``active``, ``building`` or ``previous``; empty if there is no such generation.
    index : str
        The name of its index.
    kind : str
        ``flat`` or ``hnsw``.
    ef : int or None
        The calibrated effort.
    """

    reply: Sequence[bytes | None]
    role: str
    index: str
    kind: str
    ef: int | None

    ATTRIBUTES: ClassVar = ("role", "epoch", "index", "kind", "ef")
    """``epoch`` counts the changes of the role, so that two changes in a row do not go unnoticed."""

    @classmethod
    def decode(cls, reply: Sequence[bytes | None]) -> GenerationState:
        """Read the values of `ATTRIBUTES`."""
        role, _, index, kind, ef = (None if each is None else each.decode() for each in reply)
        return cls(reply, role or "", index or "", kind or "", int(ef) if ef else None)

    @property
    def standby(self) -> bool:
        """Whether it is not the active one."""
        return self.role != "active"


def make_unsteady_index() -> BackendUnavailable:
    """Return the error of a call that met a new index at each of its attempts."""
    return BackendUnavailable(f"The store's index changed {ATTEMPTS} times during one call. Try again.")


class GenerationGuard:
    """Runs searches and scripts on generations.

    The states of generations are remembered, so that a call needs one round trip: the server tells the present state
    behind the replies of a search, and a script checks it first.
    """

    def __init__(self, client: Client, keys: Keys, leases: Leases) -> None:
        self._client = client
        self._keys = keys
        self._leases = leases
        self._states: dict[str, GenerationState] = {}
        self._generation_prefix = keys.generation_prefix

    @property
    def milliseconds(self) -> int:
        """How long the engine may take for one search, which is longer than the call waits for it.

        When its time is over, the engine returns what it has found so far, and for a count it does not say so.
        """
        return int((self._client.options.timeout + 2 * GRACE + 1) * 1000)

    def recall(self, generation: Generation) -> GenerationState:
        """Return the remembered state of a generation, which may be old.

        Raises
        ------
        Superseded
        """
        state = self._states.get(generation.id)
        return state if state and state.standby == generation.standby else self.read(generation)

    def read(self, generation: Generation) -> GenerationState:
        """Return the present state of a generation.

        Raises
        ------
        Superseded
        """
        return self._remember(generation, self._client.execute(*self._make_state_command(generation)))

    def search(
        self, generation: Generation, state: GenerationState, commands: Sequence[Command]
    ) -> list[dict[bytes, Any]] | None:
        """Send searches of a generation's index in one round trip.

        Parameters
        ----------
        generation : Generation
        state : GenerationState
            What the searches go by, from `recall`.
        commands : sequence of Command

        Returns
        -------
        list or None
            Their replies; None if the state has changed meanwhile. Then `recall` returns the new state.

        Raises
        ------
        Superseded, IndexNotReady, Timeout, StorageError
        """
        try:
            *replies, reply = self._client.pipeline(
                [*commands, self._make_state_command(generation)], index=state.index
            )
        except UncheckedIndex:
            self._check_index(generation)
            return None
        if reply != state.reply:
            self._remember(generation, check_reply(reply))
            return None
        for each in replies:
            if isinstance(each, redis.RedisError):
                raise translate(each) from each
            if warnings := each.get(b"warning"):  # the answer is partial
                raise translate(redis.ResponseError(b"; ".join(warnings).decode(errors="replace")))
        return replies

    def run(self, generation: Generation, script: Script, words: Sequence[Any], *, indexed: bool = False) -> list[Any]:
        """Run a script on a generation's records and return its answer; see `run_before`."""
        return self.run_before((), generation, script, words, indexed=indexed)[0]

    def run_before(
        self,
        further: Sequence[Command],
        generation: Generation,
        script: Script,
        words: Sequence[Any],
        *,
        indexed: bool = False,
    ) -> tuple[list[Any], list[Any]]:
        """Run a script on a generation's records, and further commands behind it in the same round trip.

        Parameters
        ----------
        further : sequence of Command
        generation : Generation
        script : Script
        words : sequence
            The script's own arguments.
        indexed : bool
            Whether the script searches the generation's index.

        Returns
        -------
        answer, replies : list
            What the script returned, beginning with a word, and the replies to the further commands.

        Raises
        ------
        Superseded, StoreLocked, IndexNotReady, Timeout, UnknownOutcome, StorageError
        """
        id_, end, pause = generation.id, time.monotonic() + self._client.options.lock_timeout, _PAUSE
        keys = self._keys
        names = (
            keys.generation(id_), keys.ids(id_), keys.tombstones(id_), keys.versions(id_), keys.changes(id_),
            keys.lock("switch", id_),
        )  # fmt: skip
        for _ in range(ATTEMPTS):
            index = self.recall(generation).index if indexed else ""
            command = (
                "EVALSHA", script.sha, len(names), *names, keys.records(id_), int(generation.standby), index, *words,
            )  # fmt: skip
            try:
                answer, *replies = self._evaluate(script, [command, *further], index)
                while answer[0] == b"locked":
                    if time.monotonic() >= end:
                        raise StoreLocked(_LOCKED)
                    self._leases.wait_for(names[-1], answer[1].decode(), pause)
                    pause = min(2 * pause, 0.05)
                    answer, *replies = self._evaluate(script, [command, *further], index)
            except UncheckedIndex:
                self._check_index(generation)
                continue
            if answer[0] == b"gone":
                self._states.pop(id_, None)
                raise Superseded
            if answer[0] == b"failed":
                raise translate(redis.ResponseError(answer[1].decode(errors="replace")))
            if answer[0] != b"moved":
                return answer, replies
            self.read(generation)
        raise make_unsteady_index()

    def wait_for_index(self, generation: Generation) -> tuple[GenerationState, IndexInfo, int, str]:
        """Wait until the index is complete, which takes some time after the server was started.

        Returns
        -------
        state, info, count, run
            Of one moment: the generation, its index, the number of records, the run of the server.

        Raises
        ------
        IndexNotReady, Superseded
        """
        end, pause = time.monotonic() + self._client.options.timeout, _PAUSE
        while True:
            state = self.read(generation)
            info, count, run = self._examine(generation, state.index)
            if info is None:
                raise IndexNotReady(NO_INDEX)
            if info.complete:
                return state, info, count, run
            if time.monotonic() >= end:
                raise IndexNotReady("The server is still reading the records into the index. Try again later.")
            self._client.wait(pause)
            pause = min(2 * pause, 0.1)

    def read_index(self, generation: Generation, index: str) -> tuple[IndexInfo | None, int]:
        """Return what the server says of an index, None if it is missing, and the number of records at that time."""
        return self._examine(generation, index)[:2]

    def _make_state_command(self, generation: Generation) -> Command:
        return ("HMGET", self._generation_prefix + generation.id, *GenerationState.ATTRIBUTES)

    def _evaluate(self, script: Script, commands: Sequence[Command], index: str) -> list[Any]:
        for _ in range(ATTEMPTS):
            replies = self._client.pipeline(commands, writes=script.writes, index=index)
            if not (isinstance(replies[0], redis.RedisError) and read_code(replies[0]) == NO_SCRIPT):
                return [check_reply(replies[0]), *replies[1:]]
            self._client.execute("SCRIPT", "LOAD", script.text)
        raise BackendUnavailable("The server forgets scripts as soon as they are loaded. Try again.")

    def _check_index(self, generation: Generation) -> None:
        """Wait until the index is complete, and remember so if it holds all records.

        Raises
        ------
        StoreCorrupt, IndexNotReady, Superseded
        """
        for _ in range(_COUNTS):
            state, info, count, run = self.wait_for_index(generation)
            if info.records == count:
                self._client.remember_complete(run, state.index)
                return
            self._client.wait(_PAUSE_BETWEEN_COUNTS)
        raise StoreCorrupt(
            f"The index holds {info.records:,} hashes but the store has {count:,} records, so searches would be wrong: "
            f"another program changed its keys, or some expired. {MENDING}"
        )

    def _examine(self, generation: Generation, index: str) -> tuple[IndexInfo | None, int, str]:
        ids = self._keys.ids(generation.id)
        commands = [("MULTI",), ("FT.INFO", index), ("ZCARD", ids), ("INFO", "server"), ("EXEC",)]
        reply, count, info = check_reply(self._client.pipeline(commands)[-1])
        return IndexInfo.decode(reply), int(count), parse_run(info)

    def _remember(self, generation: Generation, reply: Sequence[bytes | None]) -> GenerationState:
        state = GenerationState.decode(reply)
        if not state.role or state.standby != generation.standby:
            self._states.pop(generation.id, None)
            raise Superseded
        self._states[generation.id] = state
        return state
