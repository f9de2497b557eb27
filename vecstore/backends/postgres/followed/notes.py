"""The statements about notes: reading those that wait, marking them, forgetting them, and noting again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..column_types import quote_name
from ..statements import Answer, Statement
from ..transaction import Runner

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_READ = (
    "SELECT seq, id FROM {ns}.vecstore_follower_note WHERE generation = %(generation)s AND done = 9223372036854775807 "
    "ORDER BY seq LIMIT %(limit)s"
)
# A note that a writer has locked is skipped: it is about to change.
_SETTLE = """
WITH given AS (SELECT * FROM unnest(%(ids)s::text[], %(seqs)s::bigint[]) AS given(id, seq)),
free AS (
    SELECT n.id, given.seq FROM {ns}.vecstore_follower_note n
    LEFT JOIN given ON given.id = n.id AND given.seq = n.seq
    WHERE n.generation = %(generation)s AND (given.id IS NOT NULL OR n.done <= %(forgotten)s)
    ORDER BY n.id FOR UPDATE OF n SKIP LOCKED
),
marked AS (
    UPDATE {ns}.vecstore_follower_note n SET done = %(stamp)s FROM free
    WHERE n.generation = %(generation)s AND n.id = free.id AND n.seq = free.seq
),
dropped AS (
    DELETE FROM {ns}.vecstore_follower_note n USING free
    WHERE n.generation = %(generation)s AND n.id = free.id AND free.seq IS NULL AND n.done <= %(forgotten)s
)
UPDATE {ns}.vecstore_follower SET applied = greatest(applied, %(stamp)s), sending = NULL,
    forgotten = greatest(forgotten, %(forgotten)s) WHERE generation = %(generation)s
"""
# What waits goes on waiting.
_NOTE = (
    "INSERT INTO {ns}.vecstore_follower_note AS n (generation, id) SELECT %(generation)s, id "
    'FROM unnest(%(ids)s::text[]) AS again(id) ORDER BY id COLLATE "C" '
    "ON CONFLICT (generation, id) DO UPDATE SET seq = DEFAULT, done = DEFAULT, "
    "noted = CASE WHEN n.done = 9223372036854775807 THEN n.noted ELSE clock_timestamp() END"
)


class NoteTable:
    """The notes of one namespace. Each method takes a runner; holding a transaction is up to the caller.

    Parameters
    ----------
    namespace : str
    """

    def __init__(self, namespace: str) -> None:
        place = quote_name(namespace)
        self._reading = Statement(_READ.replace("{ns}", place), _NOTHING)
        self._settling = Statement(_SETTLE.replace("{ns}", place), _NOTHING, writes=True)
        self._noting = Statement(_NOTE.replace("{ns}", place), _NOTHING, writes=True)

    def read(self, runner: Runner, generation: str, limit: int) -> Answer:
        """Return the sequence numbers and ids of notes that wait, oldest first."""
        return runner.run(self._reading, {"generation": generation, "limit": limit})

    def settle(self, runner: Runner, generation: str, seqs: Mapping[str, int], stamp: int, forgotten: int) -> None:
        """Mark notes with the timestamp that the engine has their records by, and forget those marked long ago.

        Parameters
        ----------
        runner : Runner
        generation : str
        seqs : mapping of str to int
            By ids. A note with another number by now stays.
        stamp, forgotten : int
        """
        ids, numbers = list(seqs), list(seqs.values())
        values = {"ids": ids, "seqs": numbers, "generation": generation, "stamp": stamp, "forgotten": forgotten}
        runner.run(self._settling, values)

    def note(self, runner: Runner, generation: str, ids: Sequence[str]) -> None:
        """Note ids again."""
        runner.run(self._noting, {"generation": generation, "ids": list(ids)})
