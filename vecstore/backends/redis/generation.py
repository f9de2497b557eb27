"""Calls about one generation: scripts and searches that hold only while it has its role and its index is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis

from vecstore.backend import Generation, Superseded
from vecstore.errors import BackendUnavailable, IndexNotReady, StoreCorrupt, StoreLocked, VecstoreError

from ..shared.deadlines import GRACE
from .failures import NO_INDEX, NO_SCRIPT, code_of, meaning
from .index_state import IndexFacts
from .keys import Keys
from .leases import Leases
from .link import Command, Link, Untrusted, checked, now, run_of
from .scripts import Script
from .search import Standing

_LOOKS = 8
"""How often one call follows an index or a role that changes under it."""
_PAUSE = 0.005
_SECOND_LOOKS, _PAUSE_OF_LOOKS = 3, 0.1
"""Right after a restart the engine was seen once to count more hashes than there were, for a moment."""
_LOCKED = "A switch of this store lasted longer than lock_timeout. Try again."


class GenerationCalls:
    """Runs what is asked of generations on a link."""

    def __init__(self, link: Link, keys: Keys, leases: Leases) -> None:
        self._link = link
        self._keys = keys
        self._leases = leases
        self._standings: dict[str, Standing] = {}
        self._read: tuple[Standing, Any] | None = None

    @property
    def milliseconds(self) -> int:
        """How long the engine may take for one search: longer than anybody waits for it.

        What it has found when its time is over it gives as an answer, and of a count it does not say so.
        """
        return int((self._link.options.timeout + 2 * GRACE + 1) * 1000)

    def standing(self, generation: Generation) -> Standing:
        """Return what is known of a generation, which may be old.

        Raises
        ------
        Superseded
        """
        known = self._standings.get(generation.id)
        return known if known and known.standby == generation.standby else self.look(generation)

    def look(self, generation: Generation) -> Standing:
        """Return how a generation stands now.

        Raises
        ------
        Superseded
        """
        return self._noted(generation, Standing.of(self._link.tell(*self._gate(generation))))

    def search(self, generation: Generation, commands: Callable[[Standing], Sequence[Command]]) -> list[Any]:
        """Send searches of the generation's index in one round trip; return their replies.

        Behind them the server says how the generation stands. Where that is what the searches went by, nothing has
        changed in between; otherwise they are asked again.

        Raises
        ------
        Superseded, IndexNotReady, Timeout, StorageError
        """
        gate, standing = self._gate(generation), self.standing(generation)
        for _ in range(_LOOKS):
            try:
                *replies, last = self._link.ask([*commands(standing), gate], index=standing.index)
            except Untrusted:
                last = None
            if last is None:
                standing = self._completed(generation)
                continue
            read = self._read
            if read is not None and standing is read[0] and last == read[1]:  # as it was, to the last byte
                return [_whole(reply) for reply in replies]
            present = self._noted(generation, Standing.of(checked(last)))
            if present == standing:
                self._read = (present, last)
                return [_whole(reply) for reply in replies]
            standing = present
        raise BackendUnavailable(f"The index of a store changed {_LOOKS} times during one call. Try again.")

    def run(self, generation: Generation, script: Script, words: Sequence[Any], *, indexed: bool = False) -> list[Any]:
        """Run a script on a generation's records; return its answer, which begins with a word; see `run_before`."""
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
        indexed : bool
            Whether the script looks into the generation's index.

        Returns
        -------
        answer, replies : list
            What the script said, a word first, and the replies to the further commands.

        Raises
        ------
        Superseded, StoreLocked, IndexNotReady, Timeout, UnknownOutcome, StorageError
        """
        id_, end, pause = generation.id, now() + self._link.options.lock_timeout, _PAUSE
        keys = self._keys
        names = (
            keys.generation(id_), keys.ids(id_), keys.tombstones(id_), keys.versions(id_), keys.changes(id_),
            keys.lock("switch", id_),
        )  # fmt: skip
        for _ in range(_LOOKS):
            index = self.standing(generation).index if indexed else ""
            command = (
                "EVALSHA", script.sha, len(names), *names, keys.records(id_), int(generation.standby), index, *words,
            )  # fmt: skip
            try:
                answer, *replies = self._answers(script, [command, *further], index)
            except Untrusted:
                answer = None
            if answer is None:
                self._completed(generation)
                continue
            while answer[0] == b"locked":
                if now() >= end:
                    raise StoreLocked(_LOCKED)
                self._leases.wait_for(names[-1], answer[1].decode(), pause)
                pause = min(2 * pause, 0.05)
                answer, *replies = self._answers(script, [command, *further], index)
            if answer[0] == b"gone":
                self._standings.pop(id_, None)
                raise Superseded
            if answer[0] == b"failed":
                raise meaning(redis.ResponseError(answer[1].decode(errors="replace")))
            if answer[0] != b"moved":
                return answer, replies
            self.look(generation)
        raise BackendUnavailable(f"The index of a store changed {_LOOKS} times during one call. Try again.")

    def _gate(self, generation: Generation) -> Command:
        return ("HMGET", self._keys.generation(generation.id), *Standing.ATTRIBUTES)

    def _answers(self, script: Script, commands: Sequence[Command], index: str) -> list[Any]:
        for _ in range(_LOOKS):
            replies = self._link.ask(commands, changes=script.writes, index=index)
            if not (isinstance(replies[0], redis.RedisError) and code_of(replies[0]) == NO_SCRIPT):
                return [checked(replies[0]), *replies[1:]]
            self._link.tell("SCRIPT LOAD", script.text)
        raise BackendUnavailable("The server forgets scripts as soon as they are loaded. Try again.")

    def settled(self, generation: Generation) -> tuple[Standing, IndexFacts, int, str]:
        """Wait until the index is complete, which it is not for some time after the server was started.

        Returns
        -------
        standing, facts, count, run
            Of one moment: the index, what the server says of it, how many records there are, the server's run.

        Raises
        ------
        IndexNotReady, Superseded
        """
        end, pause = now() + self._link.options.timeout, _PAUSE
        while True:
            standing = self.look(generation)
            facts, count, run = self._examined(generation, standing.index)
            if facts is None:
                raise IndexNotReady(NO_INDEX)
            if facts.complete:
                return standing, facts, count, run
            if now() >= end:
                raise IndexNotReady("The server is still reading the records into the index. Try again later.")
            self._link.pause(pause)
            pause = min(2 * pause, 0.1)

    def _completed(self, generation: Generation) -> Standing:
        """Wait until the index is complete, and trust it where it holds what it should."""
        for _ in range(_SECOND_LOOKS):
            standing, facts, count, run = self.settled(generation)
            if facts.records == count:
                break
            self._link.pause(_PAUSE_OF_LOOKS)
        else:
            raise StoreCorrupt(
                f"The index holds {facts.records:,} hashes and the store {count:,} records: searches would be wrong. "
                "verify() names those that differ, reindex() builds the index again."
            )
        self._link.trust(run, standing.index)
        return standing

    def index_facts(self, generation: Generation, index: str) -> tuple[IndexFacts | None, int]:
        """Return what the server says of an index, None where there is none, and the number of records at that time."""
        return self._examined(generation, index)[:2]

    def _examined(self, generation: Generation, index: str) -> tuple[IndexFacts | None, int, str]:
        ids = self._keys.ids(generation.id)
        commands = [("MULTI",), ("FT.INFO", index), ("ZCARD", ids), ("INFO", "server"), ("EXEC",)]
        reply, count, info = checked(self._link.ask(commands)[-1])
        return IndexFacts.of(reply), int(count), run_of(info)

    def _noted(self, generation: Generation, standing: Standing) -> Standing:
        if not standing.role or standing.standby != generation.standby:
            self._standings.pop(generation.id, None)
            raise Superseded
        self._standings[generation.id] = standing
        return standing


def _whole(reply: Any) -> Any:
    """Return the reply of a search that says that it is complete.

    Raises
    ------
    VecstoreError
    """
    found = checked(reply)
    warnings = found.get(b"warning")
    if warnings:
        raise _partial(warnings)
    return found


def _partial(warnings: Sequence[bytes]) -> VecstoreError:
    return meaning(redis.ResponseError(b"; ".join(warnings).decode(errors="replace")))
