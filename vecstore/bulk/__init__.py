"""Bulk loads: tables of Arrow written by several processes, into a store that is there or into one that appears whole.

`write_batch` is what a worker of Dask, Spark, Ray or a pool calls: its arguments can be pickled, a process keeps its
connection and its model, and a task that is repeated does no harm, because the same records are written again. `load`
runs such workers itself and fills a store that nobody sees until everything is in it. `begin` is the same for workers
of another engine.
"""

from __future__ import annotations

from .batches import finish, write_batch
from .loads import Load, Loaded, begin, load
from .parts import Ticket, write_part
from .process_cache import EmbedderSource

__all__ = ["EmbedderSource", "Load", "Loaded", "Ticket", "begin", "finish", "load", "write_batch", "write_part"]
