"""Loading: blocks inside which writes leave the upkeep to the end."""

from __future__ import annotations

import threading


class Loading:
    """Whether the writes of a `VectorStore` leave their upkeep to the end of a block, and how much they changed.

    Threads may share it: the block lasts from the first thread that enters until the last one leaves.
    """

    __slots__ = ("_changed", "_depth", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._changed = 0

    def enter(self) -> None:
        """Begin a block, also inside another one."""
        with self._lock:
            self._depth += 1

    def leave(self) -> int:
        """End a block, and return for how many changed records the upkeep is due: 0 inside another block."""
        with self._lock:
            self._depth -= 1
            if self._depth:
                return 0
            changed, self._changed = self._changed, 0
            return changed

    def defer(self, changed: int) -> int:
        """Return for how many changed records the upkeep is due now: none inside a block, which remembers them."""
        with self._lock:
            if not self._depth:
                return changed
            self._changed += changed
            return 0
