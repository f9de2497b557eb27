"""A consistent copy of a live directory.

The catalogue stays as it is meanwhile, and no file that a generation names is removed; records are written
as ever. Each generation is copied as it was at one commit, the active one of a store before its standby, so
that no noted change is missing from both. The catalogue comes last: a copy that was broken off is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from vecstore.backend import Generation
from vecstore.errors import StoreCorrupt

from .options import Options
from .state.ledger import Ledger
from .state.open_generation import Volume
from .storage import os_calls
from .storage.catalogue_file import Edit
from .storage.connections import CATALOG, ROWS, copied, open_link
from .storage.failures import translating
from .storage.layout import GenerationLayout, Layout
from .verify import verification

VolumeOf = Callable[[Generation], Volume]


def backup(source: Path, target: Path, edit: Edit, options: Options, volume_of: VolumeOf) -> None:
    """Copy everything into a directory that does not exist or is empty, and check the copy; see `Backend.backup`.

    Parameters
    ----------
    source : Path
        The catalogue.
    target : Path
    edit : Edit
        Keeps others from changing the catalogue.
    options : Options
    volume_of : callable
        Returns the volume of a generation.

    Raises
    ------
    StoreLocked, StorageFailed, StoreCorrupt, Timeout
    """
    layout = Layout(target)
    with translating(target):
        os_calls.make_root(target)
        os_calls.make_directory(layout.generations)
        for entry in edit.before.entries.values():
            for generation in (entry.active, entry.standby):
                if generation:
                    _copy_generation(volume_of(generation), layout.generation(generation.id), options)
        unnamed = layout.catalog.with_name(layout.catalog.name + ".tmp")
        link = open_link(source, CATALOG, options.timeout)
        try:
            copied(link, unnamed, CATALOG, options.timeout)
        finally:
            link.close()
        os_calls.rename(unnamed, layout.catalog)
    _check(layout, edit, options)


def _copy_generation(volume: Volume, paths: GenerationLayout, options: Options) -> None:
    for path in (paths.root, paths.segments, paths.indexes):
        os_calls.make_directory(path)
    # Who keeps a volume is the only one to remove files that it names.
    with volume.kept(patiently=True), translating(volume.paths.root):
        with volume.pool.link() as link:
            copied(link, paths.rows, ROWS, options.timeout)
        link = open_link(paths.rows, ROWS, options.timeout)
        try:
            ledger = Ledger.read(link, volume.id, paths.rows)
            segments = [row[0] for row in link.execute("SELECT uid FROM segments")]
        finally:
            link.close()
        for uid in segments:
            os_calls.write_new_file(paths.segment(uid), os_calls.read_chunks(volume.paths.segment(uid)))
        if ledger.index:
            # It can be built again; one that cannot be copied must not keep the rest from being.
            with contextlib.suppress(FileNotFoundError):
                uid = ledger.index["uid"]
                os_calls.write_new_file(paths.index(uid), os_calls.read_chunks(volume.paths.index(uid)))


def _check(layout: Layout, edit: Edit, options: Options) -> None:
    """Read every byte of the copy.

    Raises
    ------
    StoreCorrupt
        It is no copy of a sound directory; it is left for whoever wants to look at it, without a catalogue.
    """
    for generation in edit.before.generations().values():
        found = verification(layout, options, generation, index=False)
        if not found.ok:
            os_calls.unlink(layout.catalog)
            raise StoreCorrupt(f"{layout.root}: the copy is damaged, as its source may be. {found.problems[0]}")
