"""Notes about ids, one for each: tombstones and the change list.

Writers hold them in memory, proven against the ledger, for the same reason as `Columns`. A note is replaced
by a newer one under a new number, so that a reader who is behind finds what is new, and what that replaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vecstore.errors import StoreCorrupt

from ..storage.checksums import row_crc
from ..storage.connections import Link
from .ledger import Ledger, Total


@dataclass(frozen=True, slots=True)
class Note:
    """A note: its number, the id, and a version, 0 where it says nothing."""

    seq: int
    id: str
    version: int

    @property
    def crc(self) -> int:
        """Its checksum."""
        return row_crc((self.seq, self.id, self.version))


@dataclass(frozen=True, eq=False)
class Register:
    """The notes of one table at one commit.

    Attributes
    ----------
    table : str
        ``"tombstones"`` or ``"changes"``.
    notes : mapping of str to Note
        By id, in the order of their numbers.
    """

    table: str
    notes: Mapping[str, Note]
    total: Total
    last: int = 0

    @classmethod
    def empty(cls, table: str) -> Register:
        """Return a register without notes."""
        return cls(table, {}, Total())

    @cached_property
    def ids(self) -> list[str]:
        """The ids in order."""
        return sorted(self.notes)

    def advanced(self, link: Link, ledger: Ledger, path: Path) -> Register:
        """Return the state that ``link`` sees.

        Raises
        ------
        StoreCorrupt
        """
        wanted = ledger.tables[self.table]
        if self.total == wanted:
            return self
        # Another process may have removed notes, which shows only in the total: then all are read.
        for known, last in ((self.notes, self.last), ({}, 0)):
            found = self._read(link, known, last)
            if found.total == wanted:
                return found
        raise StoreCorrupt(
            f"{path}: rows of {self.table} are missing, doubled or damaged. Restore the directory from a backup."
        )

    def _read(self, link: Link, known: Mapping[str, Note], last: int) -> Register:
        notes = dict(known)
        statement = f"SELECT seq, id, version FROM {self.table} WHERE seq > ? ORDER BY seq"  # noqa: S608 - ours
        total = self.total.copy() if known else Total()
        for row in link.execute(statement, (last,)):
            note = Note(*row)
            old = notes.pop(note.id, None)
            if old:
                total.remove((old.crc,))
            notes[note.id] = note
            total.add((note.crc,))
            last = note.seq
        return Register(self.table, notes, total, last)


class RegisterEdit:
    """Changes of a register within one transaction."""

    def __init__(self, link: Link, ledger: Ledger, before: Register) -> None:
        self._link = link
        self._ledger = ledger
        self._table = before.table
        self.notes = before.notes
        """The notes before the transaction."""

    def put(self, versions: Mapping[str, int]) -> None:
        """Note ids anew."""
        if not versions:
            return
        self.remove(versions)
        first = self._ledger.take(self._table, len(versions))
        notes = [Note(first + number, *item) for number, item in enumerate(versions.items())]
        statement = f"INSERT INTO {self._table} VALUES (?, ?, ?)"  # noqa: S608 - ours
        self._link.executemany(statement, [(note.seq, note.id, note.version) for note in notes])
        self._ledger.tables[self._table].add(note.crc for note in notes)

    def remove(self, ids: Iterable[str]) -> int:
        """Remove the notes of ids; return how many there were."""
        old = [note for id_ in ids if (note := self.notes.get(id_))]
        statement = f"DELETE FROM {self._table} WHERE seq = ?"  # noqa: S608 - ours
        self._link.executemany(statement, [(note.seq,) for note in old])
        self._ledger.tables[self._table].remove(note.crc for note in old)
        return len(old)

    def clear(self) -> None:
        """Remove every note."""
        self._link.execute(f"DELETE FROM {self._table}")  # noqa: S608 - ours
        self._ledger.tables[self._table] = Total()
