"""The volumes that a process has open, one for each generation that it has used."""

from __future__ import annotations

from collections.abc import Container
from threading import Lock

from vecstore.backend import Generation

from ..options import Options
from ..storage.layout import Layout
from .open_generation import Volume


class Volumes:
    """Volumes by generation, opened when first asked for; shared by threads."""

    def __init__(self, layout: Layout, options: Options) -> None:
        self._layout = layout
        self._options = options
        self._open: dict[str, Volume] = {}
        self._lock = Lock()

    def of(self, generation: Generation) -> Volume:
        """Return the volume of a generation."""
        volume = self._open.get(generation.id)
        if volume is None:
            with self._lock:
                volume = self._open.get(generation.id)
                if volume is None:
                    paths = self._layout.generation(generation.id)
                    volume = self._open[generation.id] = Volume(paths, generation, self._options)
        return volume

    def forget_all_but(self, present: Container[str]) -> None:
        """Close the volumes of generations that are gone."""
        with self._lock:
            gone = [self._open.pop(key) for key in list(self._open) if key not in present]
        for volume in gone:
            volume.close()

    def close(self) -> None:
        """Close all of them."""
        self.forget_all_but(())
