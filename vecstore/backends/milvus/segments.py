"""How searches read the rows of a collection: through its index, one by one, or through an interim index. Pure.

The server keeps rows in segments. A growing one takes what is written, is sealed when it is large or somebody asks for
it, and gets the index then. Until that is loaded, searches read all but small segments through an interim index, which
knows no effort and loses neighbours, most of them where few match. The rows of small ones are compared one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymilvus.grpc_gen import common_pb2

INDEXED_ROWS = 1_024
"""A segment with fewer rows gets no index, and its rows count as indexed."""
INTERIM_ROWS = 4_992
"""With fewer rows a growing segment has no interim index, if the server divides it into 128 lists, as by default."""


@dataclass(frozen=True, slots=True)
class Segments:
    """The rows of a collection by how searches read them.

    Attributes
    ----------
    sealed : int
        In sealed segments.
    served : int
        Of these, how many are read through the index, or in a segment too small for one.
    growing : int
        In segments that are not sealed, or whose sealed form searches do not read yet.
    removed : int
        How many of the sealed ones were replaced or deleted since.
    """

    sealed: int = 0
    served: int = 0
    growing: int = 0
    removed: int = 0

    @property
    def interim(self) -> int:
        """How many rows are read through an interim index."""
        return self.sealed - self.served + (self.growing if self.growing >= INTERIM_ROWS else 0)

    @property
    def interim_share(self) -> float:
        """The part of the rows that is read through an interim index."""
        return self.interim / (self.sealed + self.growing) if self.interim else 0.0


def read_segments(loaded: Any, growing: int = 0, live: int | None = None) -> Segments:
    """Return what a server says of the segments of a collection.

    Parameters
    ----------
    loaded : milvus_pb2.GetQuerySegmentInfoResponse
        The sealed ones that searches read.
    growing : int
    live : int, optional
        How many of the sealed ones were neither replaced nor deleted.
    """
    served = sealed = 0
    for each in loaded.infos:
        sealed += each.num_rows
        if each.state == common_pb2.SegmentState.Sealed and (each.index_name or each.num_rows < INDEXED_ROWS):
            served += each.num_rows
    live = sealed if live is None else live
    # While segments are exchanged the server lists not all that searches read.
    return Segments(max(sealed, live), served, growing, max(0, sealed - live))
