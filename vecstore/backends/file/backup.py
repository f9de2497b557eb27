"""A consistent copy of a live directory.

During a backup the catalogue does not change and no file that a generation names is removed; records can be written.
Each generation is copied as of one commit, the active one of a store before its standby, so no noted change is
missing from both. The catalogue is copied last, so an interrupted copy is not a database.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from vecstore.backend import Generation
from vecstore.errors import InvalidArgument, StoreCorrupt

from .options import Options
from .state.ledger import Ledger
from .state.open_generation import OpenGeneration
from .storage import os_calls
from .storage.catalogue_file import CatalogueEdit
from .storage.connections import CATALOG, ROWS, copy_database, open_connection
from .storage.failures import translate_errors
from .storage.layout import DirectoryLayout, GenerationLayout
from .verify import verify_generation

Opener = Callable[[Generation], OpenGeneration]


def check_places(source: DirectoryLayout, target: str) -> Path:
    """Return the absolute path of a copy. Refuse to copy what is not there, a mistyped path, or to copy it into itself.

    Raises
    ------
    InvalidArgument
    """
    if os_calls.read_identity(source.catalog) is None:
        raise InvalidArgument(f"There is no database in {source.root}, so nothing was copied. Check the path.")
    path = Path(os.path.abspath(target))
    if path.resolve().is_relative_to(source.root.resolve()):
        raise InvalidArgument(f"{path} is inside the database that it would be a copy of. Give another path.")
    return path


def backup(source: Path, target: Path, edit: CatalogueEdit, options: Options, open_generation: Opener) -> None:
    """Copy everything into a directory that does not exist or is empty, and check the copy; see `Backend.backup`.

    Parameters
    ----------
    source : Path
        The catalogue.
    target : Path
    edit : CatalogueEdit
        Holds the lock of the catalogue.
    options : Options
    open_generation : callable
        Opens a generation.

    Raises
    ------
    StoreLocked, StorageFailed, StoreCorrupt, Timeout
    """
    layout = DirectoryLayout(target)
    with translate_errors(target):
        os_calls.make_root(target)
        os_calls.make_directory(layout.generations)
        for entry in edit.before.entries.values():
            for generation in (each for each in entry.generations if each.remote is None):
                _copy_generation(open_generation(generation), layout.locate_generation(generation.id), options)
        unnamed = layout.catalog.with_name(layout.catalog.name + ".tmp")
        connection = open_connection(source, CATALOG, options.timeout)
        try:
            copy_database(connection, unnamed, CATALOG, options.timeout)
        finally:
            connection.close()
        os_calls.rename(unnamed, layout.catalog)
    _check(layout, edit, options)


def _copy_generation(opened: OpenGeneration, paths: GenerationLayout, options: Options) -> None:
    for path in (paths.root, paths.segments, paths.indexes):
        os_calls.make_directory(path)
    # Only the holder of this lock removes files that the generation names.
    with opened.lock_upkeep(wait=True), translate_errors(opened.paths.root):
        with opened.pool.check_out() as connection:
            copy_database(connection, paths.rows, ROWS, options.timeout)
        connection = open_connection(paths.rows, ROWS, options.timeout)
        try:
            ledger = Ledger.read(connection, opened.id, paths.rows)
            segments = [row[0] for row in connection.execute("SELECT uid FROM segments")]
        finally:
            connection.close()
        for uid in segments:
            os_calls.write_new_file(paths.locate_segment(uid), os_calls.read_chunks(opened.paths.locate_segment(uid)))
        if ledger.index:
            uid = ledger.index["uid"]
            # An index can be rebuilt; a missing one must not stop the backup.
            for locate in (GenerationLayout.locate_index, GenerationLayout.locate_copies):
                with contextlib.suppress(FileNotFoundError):
                    os_calls.write_new_file(locate(paths, uid), os_calls.read_chunks(locate(opened.paths, uid)))


def _check(layout: DirectoryLayout, edit: CatalogueEdit, options: Options) -> None:
    """Read every byte of the copy.

    Raises
    ------
    StoreCorrupt
        The copy is damaged. It is kept for inspection, without its catalogue.
    """
    for generation in (each for each in edit.before.list_generations().values() if each.remote is None):
        found = verify_generation(layout, options, generation, index=False)
        if not found.ok:
            os_calls.unlink(layout.catalog)
            raise StoreCorrupt(f"{layout.root}: the copy is damaged, and its source may be too. {found.problems[0]}")
