"""One collection of Milvus: make it, fill it, search it, look at its index.

Ids are kept byte for byte. Whatever is written counts as applied only from the timestamp on that the write returned,
and a search says after which timestamp it may look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymilvus.grpc_gen import milvus_pb2

from vecstore.errors import IndexNotReady, InvalidArgument, StoreCorrupt
from vecstore.fields import Stored

from .answers import FOREIGN, CollectionIndex, Nearest, read_columns, read_hits, read_index, read_plan
from .batches import cut_batches
from .client import MilvusClient
from .collection_names import check_collection_name
from .failures import CollectionMissing, make_timeout
from .fields import ID, CollectionLayout
from .filters import EVERYTHING, write_literal
from .indexes import MAX_K, IndexPlan
from .messages import (
    INDEX,
    STRONG,
    make_create_request,
    make_delete_request,
    make_index_request,
    make_query_request,
    make_search_request,
    make_upsert_request,
)
from .segments import Segments, read_segments

_BATCH_IDS = 1_000
"""Ids in the expression of one deletion."""
_PAUSE = 0.05
"""Seconds between two looks at what the server does in the background."""
_LOADING = 600.0
"""Seconds that loading a collection may take: with many rows it reads all of them."""
_LOGICAL_BITS, _LEEWAY = 18, 60.0


class Collection:
    """A collection by its name, which need not exist yet.

    Parameters
    ----------
    client : MilvusClient
    name : str
    layout : CollectionLayout
        What it holds.
    """

    def __init__(self, client: MilvusClient, name: str, layout: CollectionLayout) -> None:
        self.name = check_collection_name(name)
        self.layout = layout
        self._client = client
        self._plan: IndexPlan | None = None

    # -- as a whole

    def exists(self) -> bool:
        """Say whether the server has the collection."""
        try:
            self._describe()
        except CollectionMissing:
            return False
        return True

    def create(self, plan: IndexPlan) -> None:
        """Make the collection, empty and with its index, and load it, which takes some seconds. An old one goes."""
        self.drop()
        self._client.call("CreateCollection", make_create_request(self.name, self.layout, self._client.options.shards))
        self._client.call("CreateIndex", make_index_request(self.name, plan))
        self.load()
        self._plan = plan

    def drop(self) -> None:
        """Remove the collection, if there is one."""
        self._plan = None
        if self.exists():
            self._client.call("DropCollection", milvus_pb2.DropCollectionRequest(collection_name=self.name))

    def load(self) -> None:
        """Load the collection, which makes it searchable, and return when that is so."""
        self._client.call(
            "LoadCollection", milvus_pb2.LoadCollectionRequest(collection_name=self.name, replica_number=1)
        )
        self._wait(self._is_loaded, _LOADING)

    def _describe(self) -> Any:
        return self._client.call("DescribeCollection", milvus_pb2.DescribeCollectionRequest(collection_name=self.name))

    def _is_loaded(self) -> bool:
        request = milvus_pb2.GetLoadingProgressRequest(collection_name=self.name)
        try:
            return bool(self._client.call("GetLoadingProgress", request).progress == 100)
        except IndexNotReady:
            return False

    def _wait(self, is_done: Callable[[], bool], seconds: float) -> None:
        """Look until something is done in the server."""
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while not is_done():
            if time.monotonic() > deadline:
                raise make_timeout()
            pause.wait(_PAUSE)

    # -- records

    def upsert(
        self,
        ids: Sequence[str],
        vectors: NDArray[Any],
        fields: Mapping[str, Sequence[Stored | None]],
        stamps: Sequence[int],
    ) -> int:
        """Replace records by id, in several requests if they are many; safe to repeat.

        Parameters
        ----------
        ids : sequence of str
            Distinct.
        vectors : ndarray, shape (n, dim)
        fields : mapping of str to sequence
            Declared fields in stored form, as in `vecstore.backend.Rows`. Those that are not held are passed over.
        stamps : sequence of int, at least 0
            Each comes back with its record.

        Returns
        -------
        int
            A search after this timestamp finds all of them. 0 for no records.
        """
        latest = 0
        for part in cut_batches(self.layout, ids, fields):
            rows = ids[part]
            columns = self.layout.fill_columns({name: values[part] for name, values in fields.items()}, len(rows))
            block = np.asarray(vectors[part], dtype=np.float32)
            request = make_upsert_request(self.name, rows, block, stamps[part], columns)
            latest = max(latest, int(self._client.call("Upsert", request).timestamp))
        return latest

    def delete(self, ids: Sequence[str]) -> int:
        """Remove records by id; absent ones are passed over. Return a timestamp as `upsert` does."""
        latest = 0
        for start in range(0, len(ids), _BATCH_IDS):
            listed = ", ".join(map(write_literal, ids[start : start + _BATCH_IDS]))
            request = make_delete_request(self.name, f"{ID} in [{listed}]")
            latest = max(latest, int(self._client.call("Delete", request).timestamp))
        # 2.3 does not tell when it deleted; a timestamp that it gives afterwards is later.
        return latest if latest or not ids else self._client.draw_timestamp()

    # -- reading

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        where: str = EVERYTHING,
        effort: int | None = None,
        after: int = STRONG,
    ) -> list[Nearest]:
        """Return the nearest records of each query, as far as the index finds them.

        Parameters
        ----------
        queries : ndarray, shape (q, dim)
        k : int, 1 to 16,384
        where : str
            Of `filters.compile_filter`.
        effort : int, optional
            Within what the kind takes; by default what is usual for it.
        after : int
            The search waits until everything up to this timestamp is visible; 0 means everything there is, for which
            it waits about 0.2 s.
        """
        if not 1 <= k <= MAX_K:
            raise InvalidArgument(f"k must be from 1 to {MAX_K:,} for Milvus, not {k:,}.")
        if not len(queries):
            return []
        self._check_timestamp(after)
        plan = self._plan or self.read_plan()
        request = make_search_request(self.name, plan, queries, k, where, effort, after)
        found = read_hits(self._client.call("Search", request), self.layout.metric)
        return found or [Nearest([], np.zeros(0, np.int64), np.zeros(0))] * len(queries)

    def count(self, where: str = EVERYTHING, *, after: int = STRONG, has_growing: bool = True) -> int:
        """Count records exactly, or without those that are not sealed."""
        self._check_timestamp(after)
        settings = {} if has_growing else {"ignore_growing": "true"}
        request = make_query_request(self.name, where, ["count(*)"], after, settings)
        return int(read_columns(self._client.call("Query", request))["count(*)"][0])

    def settle(self, after: int) -> None:
        """Wait until everything up to a timestamp is visible, so that later searches after it need not wait."""
        self.count(f"{ID} == {write_literal('')}", after=after)

    def _check_timestamp(self, after: int) -> None:
        """Refuse to wait for a time that another server, or a clock that went wrong, has given."""
        if after >> _LOGICAL_BITS > (time.time() + _LEEWAY) * 1_000:
            raise StoreCorrupt(f"What follows this store was written by a server whose clock is ahead. {FOREIGN}")

    # -- index

    def read_index(self, after: int | None = None) -> CollectionIndex:
        """Return the index, how far it is built, and how searches read the rows.

        Parameters
        ----------
        after : int, optional
            Also counts, which takes two more requests, the rows that are not sealed and those that were removed, as far
            as these were written up to this timestamp.

        Raises
        ------
        CollectionMissing, StoreCorrupt
        """
        described = self._describe_index()
        return read_index(described, read_segments(self._list_loaded()) if after is None else self.read_segments(after))

    def read_segments(self, after: int) -> Segments:
        """Return how searches read the rows, as far as these were written up to a timestamp."""
        live = self.count(after=after, has_growing=False)
        growing = self.count(after=after) - live
        return read_segments(self._list_loaded(), max(0, growing), live)

    def _list_loaded(self) -> Any:
        request = milvus_pb2.GetQuerySegmentInfoRequest(collectionName=self.name)
        return self._client.call("GetQuerySegmentInfo", request)

    def read_plan(self) -> IndexPlan:
        """Return which index there is, which searches need to know.

        Raises
        ------
        CollectionMissing, StoreCorrupt
        """
        self._plan = read_plan(self._describe_index())
        return self._plan

    def _describe_index(self) -> Any:
        request = milvus_pb2.DescribeIndexRequest(collection_name=self.name, index_name=INDEX)
        return self._client.call("DescribeIndex", request)

    def flush(self) -> None:
        """Seal what was written, which lets the server build the index over it."""
        self._client.call("Flush", milvus_pb2.FlushRequest(collection_names=[self.name]))
