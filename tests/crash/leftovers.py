"""Unused files, which the next calls must remove."""

from __future__ import annotations

from pathlib import Path

from vecstore import Database
from vecstore.backends.file.backend import FileBackend


def list_garbage(db: Database, directory: Path) -> list[str]:
    """Return files of unknown generations, builders and writers that remain after a write to each store.

    A standby generation is tidied when it is written to.
    """
    entries = [db._backend.find(name=name) for name in db.names()]
    generations = {each.id for entry in entries for each in entry.generations}
    locks = {f"builder-{entry.uid}.lock" for entry in entries}
    paths = [
        *(path for path in directory.glob("g/*") if path.name not in generations),
        *(path for path in directory.glob("builder-*.lock") if path.name not in locks),
        *directory.glob("*.tmp"),
        *(path for entry in entries for path in (directory / "g" / entry.active.id).rglob("*.tmp")),
    ]
    return [path.relative_to(directory).as_posix() for path in paths] + [path.name for path in list_unnamed(db)]


def list_unnamed(db: Database) -> list[Path]:
    """Return the segments and index files of active generations that no commit names."""
    backend, left = db._backend, []
    assert isinstance(backend, FileBackend)
    for name in db.names():
        opened = backend._generations.open(backend.find(name=name).active)
        with opened.pool.check_out() as connection:
            snapshot = opened.read_snapshot(connection)
        left += opened.paths.list_unnamed_segments(snapshot.vectors.segment_uids)
        left += opened.paths.list_unnamed_indexes(snapshot.ledger.index_uids)
    return left


def is_begun(journal: bytes) -> bool:
    """Say whether a journal is in use: the header of the one that stays is zeros between commits."""
    return any(journal[:28])
