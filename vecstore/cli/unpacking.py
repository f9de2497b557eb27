"""Files that may be compressed with gzip, opened for reading; what unpacks to far more than it holds is not read."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .exits import Failure
from .sources import is_compressed

MAX_UNPACKED_BYTES = 64 << 20
"""So much is unpacked of a small file, however it was packed."""
MAX_RATIO = 250
"""How many bytes one byte of a larger file may unpack to. Records reach 50; gzip itself ends at 1,030."""
_CHUNK = 1 << 20


class BoundedStream(io.RawIOBase):
    """What a compressed file unpacks to, as long as that is in proportion to the file.

    Parameters
    ----------
    file : binary file
        Unpacks while it is read.
    limit : int
        Bytes.
    name : str
        What messages call the file.
    """

    def __init__(self, file: IO[bytes], limit: int, name: str) -> None:
        self._file, self._left, self._name = file, limit, name

    def readable(self) -> bool:
        """Say that the stream can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what comes next.

        Raises
        ------
        Failure
        """
        data = self._file.read(min(len(buffer), _CHUNK))
        self._left -= len(data)
        if self._left < 0:
            raise Failure(
                f"{self._name}: unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB and {MAX_RATIO} times its size, as "
                "no file of records does. If you trust it, unpack it and add the result."
            )
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_unpacked(path: Path) -> Iterator[tuple[io.BufferedReader, IO[bytes]]]:
    """Open a file; yield its contents, unpacked, and the file as it is stored."""
    with path.open("rb") as packed:
        if not is_compressed(path):
            yield packed, packed
            return
        limit = max(MAX_UNPACKED_BYTES, MAX_RATIO * os.fstat(packed.fileno()).st_size)
        with gzip.open(packed, "rb") as file:
            yield io.BufferedReader(BoundedStream(file, limit, str(path)), _CHUNK), packed  # type: ignore[arg-type]
