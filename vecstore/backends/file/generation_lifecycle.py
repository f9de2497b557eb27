"""`create`, `drop` and `switch`, in an order that a killed process cannot leave half done.

Each takes effect when the catalogue is committed. Before that, a new generation is complete on disk but unknown;
after it, an old one is garbage, which the next `create` or `drop` removes.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from vecstore.backend import Change, Entry, Generation
from vecstore.errors import StorageError, StoreExists, StoreNotFound

from .options import Options
from .state.change_list import clear_changes, read_changes
from .state.garbage import remove_dropped_generations
from .state.generation_files import GenerationFiles
from .state.open_generation import OpenGeneration
from .storage import os_calls
from .storage.catalogue_file import CatalogueEdit
from .storage.failures import translate_errors
from .storage.layout import DirectoryLayout

Opener = Callable[[Generation], OpenGeneration]


def create(
    layout: DirectoryLayout,
    options: Options,
    edit: CatalogueEdit,
    name: str,
    generation: Generation,
    open_generation: Opener,
) -> Entry:
    """Make a generation and name it; see `Backend.create`."""
    if generation.standby:
        entry = edit.before.find_by_name(name)
        if entry.building is not None:
            raise StoreExists(f"Store {name!r} already has a generation under construction.")
        entry = replace(entry, building=generation)
    else:
        edit.before.check_free(name)
        entry = Entry(uuid.uuid4().hex, name, generation)
    remove_dropped_generations(layout, edit)
    if generation.remote is None:
        paths = layout.locate_generation(generation.id)
        with translate_errors(paths.root):
            GenerationFiles(paths, generation).create(options)
    if not generation.standby:
        return edit.put(entry)
    with _exclude_writers(entry.active, open_generation) as forget:
        # Changes noted for an earlier standby do not apply to this one.
        forget()
        # Every write that commits from now on sees the standby and notes its changes.
        return edit.put(entry)


def drop(
    layout: DirectoryLayout, edit: CatalogueEdit, entry: Entry, generation: str | None, open_generation: Opener
) -> None:
    """Forget a store or a generation of it, then remove the files; see `Backend.drop`."""
    left = entry if generation is None else entry.drop_beside(generation)
    if left is None:
        raise StoreNotFound(entry.name)
    removed = [each for each in entry.generations if generation in {None, each.id}]
    with contextlib.ExitStack() as stack:
        for opened in (open_generation(each) for each in removed if each.remote is None):
            # A write that has begun is acknowledged before its files are removed.
            if os_calls.is_directory(opened.paths.root):
                stack.enter_context(opened.lock_writer())
                os_calls.create_mark(opened.paths.dropped)
        if generation is None:
            edit.remove(entry.uid)
        else:
            edit.put(left)
    # The drop has happened. Files that cannot be removed now are removed by the next create or drop.
    if left.standby != entry.standby:
        with contextlib.suppress(OSError, StorageError), _exclude_writers(entry.active, open_generation) as forget:
            forget()
    remove_dropped_generations(layout, edit)


def switch(
    layout: DirectoryLayout,
    edit: CatalogueEdit,
    entry: Entry,
    standby: str,
    drain: Callable[[Sequence[Change]], None],
    open_generation: Opener,
) -> Entry:
    """Flip the pointer while no write to the active generation can commit; see `Backend.switch`."""
    if entry.standby is None or entry.standby.id != standby:
        raise StoreNotFound(entry.name)
    switched = entry.switch(entry.standby)
    with _exclude_writers(entry.active, open_generation) as forget_old:
        drain(_read_all_changes(entry.active, open_generation))
        with _exclude_writers(entry.standby, open_generation) as forget_new:
            forget_new()
            for parked in (each for each in entry.generations if each not in (entry.active, entry.standby)):
                paths = layout.locate_generation(parked.id)
                if os_calls.is_directory(paths.root):
                    os_calls.create_mark(paths.dropped)
            edit.put(switched)
        # The switch has happened. A standby needs no change list; clear it before this one can become active again.
        with contextlib.suppress(StorageError):
            forget_old()
    remove_dropped_generations(layout, edit)
    return switched


@contextlib.contextmanager
def _exclude_writers(generation: Generation, open_generation: Opener) -> Iterator[Callable[[], None]]:
    """Keep writers out, and give what empties the change list; a remote generation has neither."""
    if generation.remote is not None:
        yield lambda: None
        return
    opened = open_generation(generation)
    with opened.lock_writer() as held:
        yield lambda: clear_changes(opened, held)


def _read_all_changes(generation: Generation, open_generation: Opener) -> list[Change]:
    if generation.remote is not None:
        return []
    opened = open_generation(generation)
    with translate_errors(opened.paths.rows):
        return read_changes(opened)
