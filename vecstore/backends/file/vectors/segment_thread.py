"""A segment that another thread writes and syncs, while rows go into the database."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import segment
from .segment import SegmentRow, Shape


class SegmentThread:
    """A context manager that begins to write a segment and ends when the file is written, or failed to be.

    What it does takes the processor, the disk and hardly ever the interpreter's lock.

    Parameters
    ----------
    path, shape, rids
        As `segment.write` takes them.
    vectors : ndarray, shape (n, dim)
        In the shape's dtype; nobody may change it meanwhile.
    """

    def __init__(self, path: Path, shape: Shape, rids: range | NDArray[np.int64], vectors: NDArray[Any]) -> None:
        self._arguments = path, shape, rids, (vectors,)
        self._outcome: SegmentRow | BaseException = RuntimeError("the segment is not begun")
        self._thread = Thread(target=self._write, name="vecstore-segment")

    def __enter__(self) -> SegmentThread:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.join()

    def get_row(self) -> SegmentRow:
        """Return the segment as ``rows.db`` names it, or raise what went wrong; call it behind the context."""
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome

    def _write(self) -> None:
        try:
            self._outcome = segment.write(*self._arguments)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the caller waits
            self._outcome = error
