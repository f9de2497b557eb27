"""Searches by way of the other engine, and when PostgreSQL alone answers.

An answer counts only with a proof: the statement that makes it says which timestamp the collection had reached, which
notes were forgotten since, and how many of the engine's hits are records that nobody has changed. Where that is not
enough, the engine is asked again, and after that PostgreSQL compares all records.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vecstore.backend import Generation, Search
from vecstore.errors import ForkedStore, StorageError, StoreCorrupt, Timeout
from vecstore.logs import log_step

from ..statements import Answer
from .answer import MOST_NOTES, AnswerProof, cut_state, list_ids, read_proof
from .counts import BETWEEN_COUNTS, check_count
from .follower import Follower, load_plan

if TYPE_CHECKING:
    from vecstore.backends.milvus.client import MilvusClient
    from vecstore.backends.milvus.collection import Collection
    from vecstore.backends.milvus.indexes import IndexPlan

FRESH = 2.0
"""Seconds for which the catalogue is believed: notes are kept for longer after the engine has the record."""
_REST, _LONGEST = 1.0, 30.0
"""Seconds for which an engine that failed is not asked, at first and at most."""
_TRIES = 3
_MORE = 10


@dataclass(slots=True)
class Known:
    """What a process knows of a generation's follower.

    Attributes
    ----------
    follower : Follower or None
    collection : Collection or None
        None where no search can ask it.
    plan : IndexPlan or None
        Its index.
    until : float
        Until when that is believed, by `time.monotonic`.
    """

    follower: Follower | None
    collection: Collection | None
    plan: IndexPlan | None
    until: float


class SearchRoute:
    """Where searches of each generation go, for one Database. Threads may share it.

    Parameters
    ----------
    client : MilvusClient
    read : callable
        Returns what the catalogue says of a generation's follower.
    """

    def __init__(self, client: MilvusClient, read: Callable[[str], Follower | None]) -> None:
        self._client = client
        self._read = read
        self._known: dict[str, Known] = {}
        self._checked: dict[str, float] = {}
        self._lost: set[str] = set()
        self._rests_until, self._rest = 0.0, 0.0
        self._lock = threading.Lock()

    def find(self, generation: Generation) -> Known:
        """Return what is known of a generation, read again where that is old."""
        known = self._known.get(generation.id)
        if known is None or time.monotonic() >= known.until:
            known = self._keep(generation, self._read(generation.id))
        return known

    def forget(self, generation: str) -> None:
        """Read the catalogue again at the next search."""
        self._known.pop(generation, None)

    def can_ask(self, known: Known) -> bool:
        """Say whether the engine is to be asked at all."""
        collection = known.collection
        return collection is not None and collection.name not in self._lost and time.monotonic() >= self._rests_until

    def _keep(self, generation: Generation, follower: Follower | None) -> Known:
        from vecstore.backends.milvus.collection import Collection
        from vecstore.backends.milvus.fields import plan_layout

        collection, plan = None, None
        if follower is not None and follower.collection and follower.is_ours and follower.place == self._client.place:
            before = self._known.get(generation.id)
            collection = before.collection if before else None
            if collection is None or collection.name != follower.collection:
                collection = Collection(self._client, follower.collection, plan_layout(generation.schema))
            plan = load_plan(follower.plan, generation.schema.metric)
        known = Known(follower, collection, plan, time.monotonic() + FRESH)
        self._known[generation.id] = known
        return known

    def ask(
        self,
        generation: Generation,
        search: Search,
        widening: float,
        finish: Callable[[Mapping[str, Any]], Answer],
    ) -> Answer | None:
        """Return the rows of an answer; None where PostgreSQL has to compare all records.

        Parameters
        ----------
        generation : Generation
        search : Search
        widening : float
            How many records there are for one that matches the filter.
        finish : callable
            Runs the statement of `answer.compile_answer`.
        """
        from vecstore.backends.milvus.indexes import count_candidates

        wanted = 0
        for _ in range(_TRIES):
            known = self.find(generation)
            follower = known.follower
            if follower is None or known.plan is None or not self.can_ask(known):
                return None
            wanted = wanted or max(2 * search.k + _MORE, count_candidates(known.plan, search.k))
            found = self._find_nearest(generation, known, follower, search, wanted, widening)
            if found is None:
                return None
            answer = finish({**list_ids(found), "after": follower.applied})
            proof = read_proof(answer, len(search.queries))
            if not proof.sound or proof.noted > MOST_NOTES:
                return None
            if proof.collection != follower.collection or proof.forgotten > follower.applied:
                self.forget(generation.id)
                continue
            self._advance(known, proof)
            short = [number for number, clean in enumerate(proof.clean) if clean < search.k]
            if not short:
                return cut_state(answer)
            if min(len(found[number]) for number in short) < wanted:
                return None  # the engine has no more to give
            wanted = max(4 * wanted, search.k + proof.noted + _MORE)
        return None

    def _find_nearest(
        self,
        generation: Generation,
        known: Known,
        follower: Follower,
        search: Search,
        wanted: int,
        widening: float,
    ) -> list[list[str]] | None:
        """Ask for ids. Another thread may put another follower into ``known``: the statement compares with this one."""
        from vecstore.backends.milvus.filters import compile_filter
        from vecstore.backends.milvus.indexes import MAX_K, bound_effort

        collection, plan = known.collection, known.plan
        if collection is None or plan is None or wanted > MAX_K:
            return None
        where = compile_filter(search.where, collection.layout)
        effort = search.ef if search.ef is not None else follower.ef
        if where is None or effort is None or not self._take_turn():
            return None
        try:
            asked = bound_effort(plan, int(np.ceil(effort * widening)), wanted)
            self._check_count(generation, collection)
            hits = collection.search(
                np.asarray(search.queries, np.float32), wanted, where=where, effort=asked, after=follower.applied
            )
        except StoreCorrupt as error:
            self._end_rest()
            self._lose(collection.name, error)
            return None
        except ForkedStore:
            raise
        except StorageError as error:
            self._take_rest(error)
            return None
        self._end_rest()
        return [each.ids for each in hits]

    def _check_count(self, generation: Generation, collection: Collection) -> None:
        """Count the collection now and then, where the catalogue says how many records it has.

        The catalogue is read for that: searches that come one upon another learn no counts.

        Raises
        ------
        StoreCorrupt
        """
        now = time.monotonic()
        if now < self._checked.get(collection.name, 0.0):
            return
        self._checked[collection.name] = now + BETWEEN_COUNTS
        follower = self._read(generation.id)
        if follower is not None and follower.collection == collection.name:
            check_count(collection, follower, partial(self._read, generation.id))

    def _advance(self, known: Known, proof: AnswerProof) -> None:
        """Take over what a statement has said: the next search asks for what the engine has now."""
        follower = known.follower
        if follower is None or proof.applied < follower.applied:  # another thread knows more
            return
        if (proof.applied, proof.forgotten, proof.effort) != (
            follower.applied, follower.forgotten, follower.ef,
        ):  # fmt: skip
            known.follower = replace(follower, applied=proof.applied, forgotten=proof.forgotten, ef=proof.effort)
        known.until = time.monotonic() + FRESH

    def _lose(self, name: str, error: StoreCorrupt) -> None:
        if name not in self._lost:
            self._lost.add(name)
            log_step("follow", "collection %s is damaged or gone, PostgreSQL answers: %s", name, error)

    def _take_turn(self) -> bool:
        """Say whether a search may ask. One tries an engine that failed; the others do not wait for it meanwhile."""
        if not self._rest:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._rests_until:
                return False
            self._rests_until = now + self._client.options.timeout
            return True

    def _end_rest(self) -> None:
        self._rest = self._rests_until = 0.0

    def _take_rest(self, error: StorageError) -> None:
        with self._lock:
            first = not self._rest
            # Whoever tries again after a timeout may wait as long as it once more.
            self._rest = _LONGEST if isinstance(error, Timeout) else min(_LONGEST, 2 * self._rest) or _REST
            self._rests_until = time.monotonic() + self._rest
        if first:
            log_step("follow", "Milvus does not answer (%s), PostgreSQL does", type(error).__name__)
