"""The generations that a process has open, and whether the catalogue still names them."""

from __future__ import annotations

from collections.abc import Container
from threading import Lock

from vecstore.backend import Entry, Generation, Superseded

from ..options import Options
from ..storage.catalogue_file import CatalogueFile
from ..storage.layout import DirectoryLayout
from .generation_files import GenerationFiles
from .open_generation import OpenGeneration


class OpenGenerations:
    """Generations by id, opened when first used; shared by threads."""

    def __init__(self, layout: DirectoryLayout, options: Options, catalog: CatalogueFile) -> None:
        self._layout = layout
        self._options = options
        self._catalog = catalog
        self._open: dict[str, OpenGeneration] = {}
        self._lock = Lock()

    def open(self, generation: Generation) -> OpenGeneration:
        """Return an open generation."""
        opened = self._open.get(generation.id)
        if opened is None:
            with self._lock:
                opened = self._open.get(generation.id)
                if opened is None:
                    paths = self._layout.locate_generation(generation.id)
                    opened = self._open[generation.id] = OpenGeneration(
                        GenerationFiles(paths, generation), self._options
                    )
        return opened

    def find_current(self, generation: Generation) -> Entry:
        """Return the entry of a generation if it still has the role that the caller expects.

        Raises
        ------
        Superseded
        """
        for entry in self._catalog.read().entries.values():
            expected = entry.standby if generation.standby else entry.active
            if expected is not None and expected.id == generation.id and expected.remote is None:
                return entry
        self.close_dropped()
        raise Superseded

    def open_current(self, generation: Generation) -> tuple[OpenGeneration, Generation]:
        """Return an open generation, and its current description in the catalogue.

        Raises
        ------
        Superseded
        """
        entry = self.find_current(generation)
        current = entry.standby if generation.standby and entry.standby else entry.active
        return self._open.get(generation.id) or self.open(generation), current

    def close_dropped(self) -> None:
        """Close the generations that the catalogue does not name."""
        self._close_all_but(self._catalog.read().list_generations())

    def close(self) -> None:
        """Close all generations."""
        self._close_all_but(())

    def _close_all_but(self, kept: Container[str]) -> None:
        with self._lock:
            gone = [self._open.pop(key) for key in list(self._open) if key not in kept]
        for opened in gone:
            opened.close()
