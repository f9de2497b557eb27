"""What `create`, `drop` and `switch` do, in an order that a killed process cannot leave half done.

The catalogue's commit is the moment of each. Before it, a new generation lies complete on the disk and no
one knows it; after it, an old one is garbage, which the next `create` or `drop` removes.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from vecstore.backend import Change, Entry, Generation
from vecstore.errors import StorageError, StoreExists, StoreNotFound

from .options import Options
from .state.generation_files import GenerationFiles
from .state.open_generation import Volume
from .storage import os_calls
from .storage.catalogue_file import Edit
from .storage.failures import translating
from .storage.layout import GenerationLayout, Layout
from .storage.lock import Lock, last_mark

VolumeOf = Callable[[Generation], Volume]


def create(
    layout: Layout, options: Options, edit: Edit, name: str, generation: Generation, volume_of: VolumeOf
) -> Entry:
    """Make a generation and name it; see `Backend.create`."""
    if generation.standby:
        entry = edit.before.named(name)
        if entry.standby is not None:
            raise StoreExists(f"Store {name!r} has a generation beside the active one already.")
        entry = replace(entry, building=generation)
    else:
        edit.before.check_free(name)
        entry = Entry(uuid.uuid4().hex, name, generation)
    remove_garbage(layout, edit)
    paths = layout.generation(generation.id)
    with translating(paths.root):
        GenerationFiles(paths, generation).create(options)
    if not generation.standby:
        return edit.put(entry)
    active = volume_of(entry.active)
    with active.held() as held:
        # Notes that an earlier standby left behind are of no use to this one.
        _clear_notes(active, held)
        # Every write that commits after this has seen the standby, and notes what it changes.
        return edit.put(entry)


def drop(layout: Layout, edit: Edit, entry: Entry, generation: str | None, volume_of: VolumeOf) -> None:
    """Forget a store or its standby, then remove the files; see `Backend.drop`."""
    standby = entry.standby
    if generation is None:
        doomed = [entry.active, *([standby] if standby else [])]
    elif standby is None or standby.id != generation:
        raise StoreNotFound(entry.name)
    else:
        doomed = [standby]
    with contextlib.ExitStack() as stack:
        for volume in map(volume_of, doomed):
            # A write that has begun is acknowledged before its files go.
            if os_calls.is_directory(volume.paths.root):
                stack.enter_context(volume.held())
                os_calls.create_mark(volume.paths.dropped)
        if generation is None:
            edit.remove(entry.uid)
        else:
            edit.put(replace(entry, building=None, previous=None))
    # The drop has happened. What cannot be removed now, the next create or drop removes.
    if generation is not None:
        with contextlib.suppress(OSError, StorageError):
            active = volume_of(entry.active)
            with active.held() as held:
                _clear_notes(active, held)
    remove_garbage(layout, edit)


def switch(
    edit: Edit, entry: Entry, standby: str, drain: Callable[[Sequence[Change]], None], volume_of: VolumeOf
) -> Entry:
    """Flip the pointer while no write to the active generation can commit; see `Backend.switch`."""
    if entry.standby is None or entry.standby.id != standby:
        raise StoreNotFound(entry.name)
    old, new = volume_of(entry.active), volume_of(entry.standby)
    switched = Entry(
        entry.uid, entry.name, replace(entry.standby, standby=False), previous=replace(entry.active, standby=True)
    )
    with old.held() as held_old:
        drain(_noted(old))
        with new.held() as held_new:
            _clear_notes(new, held_new)
            edit.put(switched)
        # The switch has happened. Notes of a standby mean nothing, and go before it becomes active again.
        with contextlib.suppress(StorageError):
            _clear_notes(old, held_old)
    return switched


def _noted(volume: Volume) -> list[Change]:
    with translating(volume.paths.rows), volume.pool.link() as link:
        return [Change(note.seq, note.id) for note in volume.register(link, "changes").notes.values()]


def _clear_notes(volume: Volume, held: Lock) -> None:
    with volume.begun(held) as transaction:
        transaction.changes.clear()


def remove_garbage(layout: Layout, edit: Edit) -> None:
    """Remove generations that were dropped or never named by the catalogue, whose lock is held, and unused locks.

    Other generations that it does not name stay: they may belong to a newer catalogue than the one that somebody
    restored. What cannot be removed now is tried again by the next one.
    """
    named = edit.before.generations()
    with contextlib.suppress(OSError):
        for name in os_calls.names(layout.generations):
            paths = GenerationLayout(layout.generations / name)
            if name not in named and (os_calls.identity(paths.dropped) or not last_mark(paths.lock)):
                os_calls.remove_tree(paths.root, last=paths.dropped.name)
        for uid in layout.builders() - edit.before.entries.keys():
            os_calls.unlink(layout.builder_lock(uid))
