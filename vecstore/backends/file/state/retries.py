"""The retries of a read: a concurrent commit may remove a row of the snapshot that is being read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vecstore.backend import Generation
from vecstore.errors import StorageError, StoreCorrupt, StoreNotFound

from ..storage.failures import DRIVER_ERRORS, translate_error
from .open_generation import OpenGeneration
from .open_generations import OpenGenerations
from .reader import Reader
from .rows import Vanished

_ATTEMPTS = 5
"""The attempt after these blocks writers."""


@dataclass(slots=True, eq=False)
class Reading:
    """One call that reads a generation; it retries if a concurrent commit removed a row.

    ::

        reading = Reading(*generations.open_current(generation), generations)
        while True:
            with reading.attempt(view=True) as reader:
                return …

    An attempt reads the newest snapshot. If one of its rows has vanished, the context ends without an error, and the
    caller's loop makes another attempt. The last attempt blocks writers.

    Attributes
    ----------
    opened : OpenGeneration
    generation : Generation
        Its current description in the catalogue.
    """

    opened: OpenGeneration
    generation: Generation
    _generations: OpenGenerations
    _attempts: int = 0

    @contextmanager
    def attempt(self, *, view: bool) -> Iterator[Reader]:
        """Give a reader of the newest commit, with ids and fields if ``view`` is true.

        Raises
        ------
        StorageError, StoreNotFound
        Superseded
            The generation was dropped or replaced in the meantime.
        """
        opened = self.opened
        self._attempts += 1
        try:
            try:
                with opened.pool.check_out() as connection:
                    if self._attempts <= _ATTEMPTS:
                        yield Reader(opened, connection, opened.read_snapshot(connection, view=view))
                    else:
                        with opened.pin_snapshot(connection, view=view) as snapshot:
                            yield Reader(opened, connection, snapshot)
            except Vanished as error:
                if self._attempts > _ATTEMPTS:
                    raise StoreCorrupt(
                        f"{opened.paths.rows}: stored rows are missing. Restore the directory from a backup."
                    ) from error
            except DRIVER_ERRORS as error:
                raise translate_error(error, str(opened.paths.root)) from error
        except (StorageError, StoreNotFound):
            self._generations.find_current(self.generation)
            raise
