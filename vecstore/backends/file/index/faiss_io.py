"""FAISS reads and writes an index: through functions, or from a mapped file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage.checksums import BLOCK


def stream_index(write_to: Callable[[Any], None], out: Callable[[bytes], None]) -> None:
    """Let FAISS write through a function; its errors are raised here, not within FAISS."""
    import faiss

    failures: list[BaseException] = []

    def pass_on(data: bytes) -> None:
        if failures:
            return
        try:
            out(data)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    write_to(faiss.BufferedIOWriter(faiss.PyCallbackIOWriter(pass_on), BLOCK))
    if failures:
        raise failures[0]


def open_copying_reader(data: NDArray[np.uint8]) -> Any:
    """Return a reader with which FAISS copies the index into private memory."""
    import faiss

    done = 0

    def take(count: int) -> bytes:
        nonlocal done
        piece = data[done : done + count].tobytes()
        done += len(piece)
        return piece

    return faiss.BufferedIOReader(faiss.PyCallbackIOReader(take, BLOCK), BLOCK)


def copy_links(index: Any) -> NDArray[np.int32]:
    """Move the links of a mapped graph into memory, which is returned and must outlive the graph.

    If the file changes after the check, a changed code gives a wrong distance, but a changed link would make FAISS read
    arbitrary memory.
    """
    import faiss

    known = index.hnsw.neighbors
    links: NDArray[np.int32] = faiss.rev_swig_ptr(known.data(), known.size()).copy()
    known.view_data = known.c_ptr = faiss.swig_ptr(links)
    return links
