"""The change list: ids whose records changed while a standby generation exists."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from vecstore.backend import Change

from ..storage.lock import HeldLock
from .open_generation import OpenGeneration
from .transaction import WriteTransaction


def read_changes(opened: OpenGeneration, limit: int | None = None) -> list[Change]:
    """Return the oldest noted changes, all without a limit; see `Backend.changes`."""
    with opened.pool.check_out() as connection:
        notes = opened.read_notes(connection, "changes").by_id.values()
    return [Change(note.seq, note.id) for note in islice(notes, limit)]


def settle_changes(transaction: WriteTransaction, settled: Sequence[Change]) -> None:
    """Forget changes, unless their records changed again."""
    notes = transaction.changes.by_id
    same = [change.id for change in settled if (note := notes.get(change.id)) and note.seq == change.seq]
    transaction.changes.remove(dict.fromkeys(same))


def clear_changes(opened: OpenGeneration, held: HeldLock) -> None:
    """Forget all changes; the caller holds the writer's lock."""
    with opened.begin_locked(held) as transaction:
        transaction.changes.clear()
