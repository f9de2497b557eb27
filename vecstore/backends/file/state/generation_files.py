"""The fixed properties of a generation on disk: its paths, and the form of its rows and vectors."""

from __future__ import annotations

from vecstore.backend import Generation

from ..options import Options
from ..storage import os_calls
from ..storage.connections import ROWS, create_database
from ..storage.layout import GenerationLayout
from ..storage.pool import ForkGuard
from ..vectors.segment import Shape
from .rows import RowFormat
from .tables import create_tables


class GenerationFiles:
    """The files of one generation."""

    def __init__(self, paths: GenerationLayout, generation: Generation) -> None:
        self.id = generation.id
        self.schema = generation.schema
        self.paths = paths
        self.row_format = RowFormat(generation.schema)
        self.shape = Shape.from_schema(generation.id, generation.schema)

    def create(self, options: Options) -> None:
        """Create an empty generation, completely durable, before a catalogue names it."""
        paths = self.paths
        # The commit of the catalogue makes the directory's own name durable.
        for path in (paths.root.parent, paths.root, paths.segments, paths.indexes):
            os_calls.make_directory(path)
        os_calls.sync_directory(paths.root.parent)
        with (
            ForkGuard(paths.rows),
            create_database(paths.rows, ROWS, options.timeout, self.row_format.version) as connection,
        ):
            create_tables(connection, self.id, self.row_format)
        os_calls.close(os_calls.open_lock(paths.lock))
        os_calls.sync_directory(paths.root)
