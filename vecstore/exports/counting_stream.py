"""A stream that knows its position, which a pipe does not."""

from __future__ import annotations

from typing import IO


class CountingStream:
    """Passes on what is written to it, and counts it.

    Parameters
    ----------
    stream : binary file
    """

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._position = stream, 0

    def write(self, data: bytes) -> int:
        """Write all of the data."""
        self._stream.write(data)
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        """Return how much was written."""
        return self._position

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def close(self) -> None:
        """Leave closing to the owner of the stream."""

    def readable(self) -> bool:
        """Say that nothing can be read."""
        return False

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def seekable(self) -> bool:
        """Say that the position only grows."""
        return False
