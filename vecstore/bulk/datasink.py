"""What Ray asks of a place that a dataset is written to. It is imported on use, because Ray takes seconds to import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ray.data import Datasink
from ray.data.block import BlockAccessor

from .batches import write_batch
from .parts import Ticket, write_part
from .process_cache import EmbedderSource


class StoreDatasink(Datasink[int]):
    """Writes blocks into a load, or into a store that is there. Ray pickles it for each of its workers.

    Parameters
    ----------
    into : Ticket or tuple of url, name and embedder

    Attributes
    ----------
    written : int
        How many ids the blocks have, after the job.
    """

    def __init__(self, into: Ticket | tuple[str, str, EmbedderSource]) -> None:
        self._into = into
        self.written = 0

    def write(self, blocks: Iterable[Any], ctx: object) -> int:
        """Write the blocks of one task. Ray repeats a task that failed."""
        return sum(self._write_table(BlockAccessor.for_block(block).to_arrow()) for block in blocks)

    def on_write_complete(self, write_result: Any) -> None:
        """Take what all tasks returned."""
        self.written = sum(write_result.write_returns)

    def get_name(self) -> str:
        """Return the name of the tasks, for Ray's own messages."""
        return "vecstore"

    def _write_table(self, table: Any) -> int:
        if isinstance(self._into, Ticket):
            return write_part(self._into, table)
        url, name, embedder = self._into
        return write_batch(url, name, table, embedder=embedder)
