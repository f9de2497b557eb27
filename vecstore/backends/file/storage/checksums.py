"""Checksums of each MiB of a stream."""

from __future__ import annotations

import zlib

BLOCK = 1 << 20


class BlockCrcs:
    """Checksums of each MiB of a stream that comes in pieces."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.size = 0
        """Bytes so far."""

    def add(self, data: bytes | memoryview) -> None:
        """Take in the next piece."""
        view = memoryview(data).cast("B")
        start = 0
        while start < len(view):
            filled = self.size % BLOCK
            if filled == 0:
                self.values.append(0)
            part = view[start : start + BLOCK - filled]
            self.values[-1] = zlib.crc32(part, self.values[-1])
            self.size += len(part)
            start += len(part)
