"""Catching up: records that changed while they were copied are copied again, from the change list.

Each record whose id is in the change list is read again. What was read before is never trusted.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..backend import Change
from .copy import Copy

BATCH = 1_000
CALM = 64
"""At most this many changes are left to the switch, which blocks writers."""
ROUNDS = 50
"""At most this many rounds, because writers may make changes as fast as they are copied."""


class CatchUp:
    """Applies the noted changes of a copy's source to its target."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self.caught_up = 0

    def run(self) -> None:
        """Copy noted changes until only a few are left for the switch."""
        source, settled = self._copy.source, list[Change]()
        for _ in range(ROUNDS):
            changes = self._copy.backend.changes(source, settled, BATCH)
            if len(changes) <= CALM:
                return
            self._apply(changes)
            settled = changes
        self._copy.backend.changes(source, settled, 1)

    def drain(self, changes: Sequence[Change]) -> None:
        """Copy the last changes and all tombstones while nothing can change."""
        for start in range(0, len(changes), BATCH):
            self._apply(changes[start : start + BATCH])
        self.copy_tombstones()

    def copy_again(self, ids: Sequence[str]) -> None:
        """Make these records of the target what they are in the source."""
        for start in range(0, len(ids), BATCH):
            self._copy_ids(ids[start : start + BATCH])

    def _apply(self, changes: Sequence[Change]) -> None:
        ids = list(dict.fromkeys(change.id for change in changes))
        self._copy_ids(ids)
        self.caught_up += len(ids)

    def _copy_ids(self, ids: Sequence[str]) -> None:
        rows = self._copy.backend.fetch(self._copy.source, ids)
        present = frozenset(rows.ids)
        self._copy.copy_rows(rows)
        self._copy.into.delete(self._copy.target, [id_ for id_ in ids if id_ not in present])

    def copy_tombstones(self) -> None:
        """Copy the versions of removed records."""
        after = None
        while tombs := self._copy.backend.tombstones(self._copy.source, after, BATCH):
            ids = list(tombs)
            after = ids[-1]
            self._copy.into.delete(self._copy.target, ids, fence=[tombs[id_] for id_ in ids])
