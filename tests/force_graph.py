"""Small stores searched as large ones are: along the graph, whatever a scan would cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from vecstore.backends.file.search import plan
from vecstore.backends.shared import index_policy
from vecstore.calibration import calibrate

MIN_ROWS = "index_min_rows=32"
"""The parameter of a URL under which small stores have indexes."""


@contextmanager
def force_graph() -> Iterator[None]:
    """Let a graph search cost nothing while the context lasts, measure little, and hold rows out of small graphs."""
    with ExitStack() as stack:
        stack.enter_context(patch.multiple(plan, _DIRECT=16, _PER_EFFORT=0))
        stack.enter_context(patch.object(calibrate, "QUERIES", 20))
        stack.enter_context(patch.object(index_policy, "LEAST_HELD_OUT", 8))
        yield
