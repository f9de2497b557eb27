"""One commit of a generation as far as it is in memory, and how it advances to a later commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vecstore.errors import StoreCorrupt

from ..storage.connections import SqliteConnection
from ..vectors.vectors import Vectors
from .columns import View, read_heads
from .generation_files import GenerationFiles
from .ledger import Ledger


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One commit in memory. ``view`` is None until ids or fields are needed."""

    ledger: Ledger
    vectors: Vectors
    view: View | None

    @property
    def columns(self) -> View:
        """The view of a snapshot that was read with one."""
        if self.view is None:
            raise TypeError("the snapshot was read without a view")
        return self.view

    def is_file_at(self, ledger: Ledger) -> bool:
        """Say whether this is the commit of a ledger."""
        return self.ledger.token == ledger.token

    def can_advance_to(self, ledger: Ledger) -> bool:
        """Say whether all removals since this commit are still on record."""
        return self.is_file_at(ledger) or ledger.pruned <= self.ledger.seq < ledger.seq


def advance_snapshot(
    files: GenerationFiles,
    known: Snapshot | None,
    connection: SqliteConnection,
    ledger: Ledger,
    written: list[tuple[Any, ...]] | None,
    *,
    view: bool,
) -> Snapshot:
    """Return the commit that a connection sees.

    Parameters
    ----------
    files : GenerationFiles
    known : Snapshot or None
        An earlier commit, which is not changed.
    connection : SqliteConnection
        In a transaction.
    ledger : Ledger
        The ledger of the commit.
    written : list of tuple or None
        The heads of the rows that the commit after `known` added, if this process wrote them.
    view : bool
        Whether ids and fields are needed.

    Raises
    ------
    StoreCorrupt
    """
    if known and not known.can_advance_to(ledger):
        known = None
    vectors = known.vectors if known else Vectors.make_empty(files.paths, files.shape)
    vectors, removed = vectors.advance(connection, ledger)
    known_view = known.view if known else None
    before = known_view if known_view and not known_view.is_wasteful else None
    if before is None and not view and not known_view:
        return Snapshot(ledger, vectors, None)
    if before is None:
        before, written = View.make_empty(files.schema), None
    table = ledger.tables["rows"]
    path = files.paths.rows
    rows = iter(written) if written else read_heads(connection, files.row_format, before.last_rid, table.count, path)
    after = before.advance(removed, rows, path)
    if after.total != table:
        raise StoreCorrupt(f"{path}: rows are missing, duplicated or damaged. Restore the directory from a backup.")
    if after.count_bare() != ledger.bare:
        raise StoreCorrupt(f"{path}: {after.count_bare()} rows lack a vector, not {ledger.bare}. Run verify().")
    return Snapshot(ledger, vectors, after)
