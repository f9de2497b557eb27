"""Notes, at most one for each id: tombstones and the change list.

Writers keep them in memory, checked against the ledger, for the same reason as `RowColumns`. A newer note replaces an
older one under a new number, so a reader that is behind finds the new notes and those that they replace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vecstore.errors import StoreCorrupt

from ..storage.checksums import checksum_row
from ..storage.connections import SqliteConnection
from .ledger import Ledger, Total


@dataclass(frozen=True, slots=True)
class Note:
    """A note: its number, the id, and a version, which is 0 if it has none."""

    seq: int
    id: str
    version: int

    @property
    def crc(self) -> int:
        """The checksum of the note."""
        return checksum_row((self.seq, self.id, self.version))


@dataclass(frozen=True, eq=False)
class Notes:
    """The notes of one table at one commit.

    Attributes
    ----------
    table : str
        ``"tombstones"`` or ``"changes"``.
    by_id : mapping of str to Note
        The notes in the order of their numbers.
    """

    table: str
    by_id: Mapping[str, Note]
    total: Total
    last: int = 0

    @classmethod
    def make_empty(cls, table: str) -> Notes:
        """Return a state without notes."""
        return cls(table, {}, Total())

    @cached_property
    def ids(self) -> list[str]:
        """The ids in order."""
        return sorted(self.by_id)

    def advance(self, connection: SqliteConnection, ledger: Ledger, path: Path) -> Notes:
        """Return the state that a connection sees.

        Raises
        ------
        StoreCorrupt
        """
        wanted = ledger.tables[self.table]
        if self.total == wanted:
            return self
        # Only the total shows that another process removed notes; in that case all are read.
        for known, last in ((self.by_id, self.last), ({}, 0)):
            found = self._read(connection, known, last)
            if found.total == wanted:
                return found
        raise StoreCorrupt(
            f"{path}: rows of {self.table} are missing, duplicated or damaged. Restore the directory from a backup."
        )

    def _read(self, connection: SqliteConnection, known: Mapping[str, Note], last: int) -> Notes:
        notes = dict(known)
        statement = f"SELECT seq, id, version FROM {self.table} WHERE seq > ? ORDER BY seq"  # noqa: S608 - ours
        total = self.total.copy() if known else Total()
        for row in connection.execute(statement, (last,)):
            note = Note(*row)
            old = notes.pop(note.id, None)
            if old:
                total.remove((old.crc,))
            notes[note.id] = note
            total.add((note.crc,))
            last = note.seq
        return Notes(self.table, notes, total, last)


class NotesEdit:
    """Changes of the notes of one table within a transaction."""

    def __init__(self, connection: SqliteConnection, ledger: Ledger, before: Notes) -> None:
        self._connection = connection
        self._ledger = ledger
        self._table = before.table
        self.by_id = before.by_id
        """The notes before the transaction."""

    def put(self, versions: Mapping[str, int]) -> None:
        """Add notes, which replace earlier ones of the same ids."""
        if not versions:
            return
        self.remove(versions)
        first = self._ledger.take(self._table, len(versions))
        notes = [Note(first + number, *item) for number, item in enumerate(versions.items())]
        statement = f"INSERT INTO {self._table} VALUES (?, ?, ?)"  # noqa: S608 - ours
        self._connection.executemany(statement, [(note.seq, note.id, note.version) for note in notes])
        self._ledger.tables[self._table].add(note.crc for note in notes)

    def remove(self, ids: Iterable[str]) -> int:
        """Remove the notes of ids; return how many there were."""
        old = [note for id_ in ids if (note := self.by_id.get(id_))]
        statement = f"DELETE FROM {self._table} WHERE seq = ?"  # noqa: S608 - ours
        self._connection.executemany(statement, [(note.seq,) for note in old])
        self._ledger.tables[self._table].remove(note.crc for note in old)
        return len(old)

    def clear(self) -> None:
        """Remove every note."""
        self._connection.execute(f"DELETE FROM {self._table}")  # noqa: S608 - ours
        self._ledger.tables[self._table] = Total()
