"""Garbage: files that no commit and no catalogue names, and when they are removed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from vecstore.errors import StorageError, StoreLocked

from ..storage import os_calls
from ..storage.commit_mark import read_last_mark
from ..storage.layout import DirectoryLayout, GenerationLayout

if TYPE_CHECKING:
    from ..storage.catalogue_file import CatalogueEdit
    from .open_generation import OpenGeneration
    from .snapshot import Snapshot


def remove_unnamed_files(opened: OpenGeneration, snapshot: Snapshot) -> bool:
    """Remove files of writers and builders that did not reach their commit; return whether all could be removed."""
    with contextlib.suppress(OSError, StorageError, StoreLocked):
        unnamed = opened.paths.list_unnamed_segments(snapshot.vectors.segment_uids)
        unnamed += opened.paths.list_unnamed_indexes(snapshot.ledger.index_uids)
        # An unnamed file may belong to a process that has not committed yet.
        with opened.lock_upkeep(wait=False) if unnamed else contextlib.nullcontext():
            for path in unnamed:
                os_calls.unlink(path)
        return True
    return False


def remove_unnamed_indexes(opened: OpenGeneration, snapshot: Snapshot) -> None:
    """Remove files of builders that did not reach their commit; the next write removes what this leaves."""
    opened.mark_untidy()
    with contextlib.suppress(OSError):
        for path in opened.paths.list_unnamed_indexes(snapshot.ledger.index_uids):
            os_calls.unlink(path)


def remove_dropped_generations(layout: DirectoryLayout, edit: CatalogueEdit) -> None:
    """Remove generations that were dropped or never named by the catalogue, whose lock is held, and unused locks.

    Other unnamed generations stay: they may belong to a newer catalogue than the one that was restored from a
    backup. Files that cannot be removed now are tried again next time.
    """
    named = edit.before.list_generations()
    with contextlib.suppress(OSError):
        for name in os_calls.list_names(layout.generations):
            paths = GenerationLayout(layout.generations / name)
            if name not in named and (os_calls.read_identity(paths.dropped) or not read_last_mark(paths.lock)):
                os_calls.remove_tree(paths.root, last=paths.dropped.name)
        for uid in layout.list_builders() - edit.before.entries.keys():
            os_calls.unlink(layout.locate_builder_lock(uid))
