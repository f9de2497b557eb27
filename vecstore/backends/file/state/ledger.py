"""The ledger: the one row of a database file that proves the others.

SQLite does not check what it reads. So every row has its own checksum, and the ledger keeps the number of rows of
each table and the sum of their checksums: reading the whole table reveals a row that is missing, duplicated or
changed. The ledger itself has a checksum.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from vecstore.errors import DatabaseReplaced, StoreCorrupt

BARE = "bare"
"""Among the tables of a file whose rows may lack a vector: the rows that do. They are in ``rows`` too."""
_MODULUS = 1 << 63
CREATE = "CREATE TABLE ledger(one INTEGER PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL)"


@dataclass(slots=True)
class Total:
    """How many rows a table has, and the sum of their checksums."""

    count: int = 0
    digest: int = 0

    def add(self, crcs: Iterable[int]) -> None:
        """Add rows, given their checksums."""
        values = list(crcs)
        self.count += len(values)
        self.digest = (self.digest + sum(values)) % _MODULUS

    def remove(self, crcs: Iterable[int]) -> None:
        """Remove rows, given their checksums."""
        values = list(crcs)
        self.count -= len(values)
        self.digest = (self.digest - sum(values)) % _MODULUS

    def copy(self) -> Total:
        """Return an independent copy."""
        return Total(self.count, self.digest)


@dataclass(slots=True)
class Ledger:
    """One state of a database file.

    Attributes
    ----------
    owner : str
        The generation that the file belongs to, or ``"catalog"``.
    seq : int
        The number of the commit.
    token : str
        The random name of the commit.
    next : dict
        The next free number of each kind; no number is used twice.
    pruned : int
        The last commit whose removals may be forgotten; a reader with an older state reads everything again.
    compacted : tuple of int
        The commit that the last compaction began with, and the next number of ``dead`` at that time.
    tables : dict of str to Total
    index : dict or None
        The index file that was derived from the rows, as `index_file.IndexRow` has it.
    """

    owner: str
    seq: int = 0
    token: str = ""
    next: dict[str, int] = field(default_factory=dict)
    pruned: int = 0
    compacted: tuple[int, int] = (0, 0)
    tables: dict[str, Total] = field(default_factory=dict)
    index: dict[str, Any] | None = None

    @classmethod
    def read(cls, connection: sqlite3.Connection, owner: str, path: object) -> Ledger:
        """Return the state that a connection sees.

        Raises
        ------
        StoreCorrupt
        """
        rows = connection.execute("SELECT body, crc FROM ledger").fetchmany(2)
        if len(rows) != 1 or not isinstance(rows[0][0], str) or _crc(rows[0][0]) != rows[0][1]:
            raise StoreCorrupt(f"{path}: the ledger is damaged. Restore the directory from a backup.")
        data = json.loads(rows[0][0])
        if data["owner"] != owner:
            raise StoreCorrupt(
                f"{path} belongs to {data['owner']}, not to {owner}: the files were swapped. "
                "Restore the directory from a backup."
            )
        tables = {name: Total(*total) for name, total in data["tables"].items()}
        seq, dead = data["compacted"]
        return cls(owner, data["seq"], data["token"], data["next"], data["pruned"], (seq, dead), tables, data["index"])

    def write(self, connection: sqlite3.Connection) -> None:
        """Write the state in the open transaction."""
        tables = {name: [total.count, total.digest] for name, total in self.tables.items()}
        body = json.dumps(
            {
                "owner": self.owner,
                "seq": self.seq,
                "token": self.token,
                "next": self.next,
                "pruned": self.pruned,
                "compacted": self.compacted,
                "tables": tables,
                "index": self.index,
            }
        )
        connection.execute("INSERT OR REPLACE INTO ledger VALUES (1, ?, ?)", (body, _crc(body)))

    @property
    def contents(self) -> tuple[Any, ...]:
        """Everything except the number and the name of the commit."""
        return self.owner, self.next, self.pruned, self.compacted, self.tables, self.index

    @property
    def bare(self) -> int:
        """How many rows have no vector."""
        return self.tables[BARE].count if BARE in self.tables else 0

    @property
    def vectors(self) -> int:
        """How many rows have a vector."""
        return self.tables["rows"].count - self.bare

    @property
    def index_uids(self) -> list[str]:
        """The uid of the index file in a list, which is empty if there is none."""
        return [self.index["uid"]] if self.index else []

    def start_next(self) -> Ledger:
        """Return the state of the next commit, without changes so far."""
        tables = {name: total.copy() for name, total in self.tables.items()}
        return replace(self, seq=self.seq + 1, token=os.urandom(16).hex(), next=dict(self.next), tables=tables)

    def take(self, kind: str, count: int = 1) -> int:
        """Return the first of ``count`` new numbers."""
        first = self.next[kind]
        self.next[kind] = first + count
        return first


def check_same_history(known: Ledger, found: Ledger, path: object) -> None:
    """Refuse a state that does not come after one that was read before, as that of a backup copied over the file.

    Raises
    ------
    DatabaseReplaced
    """
    if found.seq <= known.seq and found.token != known.token:
        raise DatabaseReplaced(str(path))


def _crc(body: str) -> int:
    return zlib.crc32(body.encode("utf-8", "surrogatepass"))
