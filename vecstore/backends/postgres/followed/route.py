"""Searches by way of the other engine, and when PostgreSQL alone answers.

An answer counts only with a proof: the statement that makes it says which timestamp the collection had reached, which
notes were forgotten since, and how many of the engine's hits are records that nobody has changed. Where that is not
enough, the engine is asked again, and after that PostgreSQL compares all records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vecstore.backend import Generation, Search
from vecstore.errors import ForkedStore, StorageError, StoreCorrupt

from ..caller_transaction import CallerTransaction
from ..statements import Answer
from ..transaction import Runner
from .answer import MOST_NOTES, AnswerProof, cut_state, list_ids, read_proof
from .counts import BETWEEN_COUNTS, check_count, is_counted_now
from .follower import Follower, load_plan
from .outages import Outages
from .served_index import has_served_index

if TYPE_CHECKING:
    from vecstore.backends.milvus.client import MilvusClient
    from vecstore.backends.milvus.collection import Collection
    from vecstore.backends.milvus.indexes import IndexPlan
    from vecstore.backends.milvus.segments import Segments

FRESH = 2.0
"""Seconds for which the catalogue is believed: notes are kept for longer after the engine has the record."""
_LOOKS = 1.0
"""For so many seconds it is believed how searches of a collection read its rows."""
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

    def __init__(self, client: MilvusClient, read: Callable[[Runner, str], Follower | None]) -> None:
        self._client = client
        self._read = read
        self._known: dict[str, Known] = {}
        self._checked: dict[str, float] = {}
        self._segments: dict[str, tuple[float, Segments]] = {}
        self._outages = Outages(client.options.timeout)

    def find(self, runner: Runner, generation: Generation) -> Known:
        """Return what is known of a generation, read again where that is old.

        Parameters
        ----------
        runner : Runner
            The caller's transaction, or a pool. With a transaction of its own on another connection, a search inside
            the caller's would wait for a pool that is used up.
        generation : Generation
        """
        known = self._known.get(generation.id)
        if known is None or time.monotonic() >= known.until:
            known = self._keep(runner, generation, self._read(runner, generation.id))
        return known

    def forget(self, generation: str) -> None:
        """Read the catalogue again at the next search."""
        self._known.pop(generation, None)

    def can_ask(self, known: Known) -> bool:
        """Say whether the engine is to be asked at all."""
        return known.collection is not None and self._outages.can_ask(known.collection.name)

    def _keep(self, runner: Runner, generation: Generation, follower: Follower | None) -> Known:
        from vecstore.backends.milvus.collection import Collection
        from vecstore.backends.milvus.fields import plan_layout

        collection, plan, before = None, None, self._known.get(generation.id)
        if follower is not None and follower.collection and follower.is_ours and follower.place == self._client.place:
            collection = before.collection if before else None
            if collection is None or collection.name != follower.collection:
                collection = Collection(self._client, follower.collection, plan_layout(generation.schema))
            plan = load_plan(follower.plan, generation.schema.metric)
        known = Known(follower, collection, plan, time.monotonic() + FRESH)
        # The snapshot of a caller's transaction may be older than what is known.
        if before is None or not isinstance(runner, CallerTransaction) or _is_later(follower, before.follower):
            self._known[generation.id] = known
        return known

    def ask(
        self,
        runner: Runner,
        generation: Generation,
        search: Search,
        widening: float,
        finish: Callable[[Mapping[str, Any]], Answer],
    ) -> Answer | None:
        """Return the rows of an answer; None where PostgreSQL has to compare all records.

        Parameters
        ----------
        runner : Runner
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
            known = self.find(runner, generation)
            follower = known.follower
            if follower is None or known.plan is None or not self.can_ask(known):
                return None
            wanted = wanted or max(2 * search.k + _MORE, count_candidates(known.plan, search.k))
            found = self._find_nearest(runner, generation, known, follower, search, wanted, widening)
            if found is None:
                return None
            answer = finish({**list_ids(found), "after": follower.applied})
            proof = read_proof(answer, len(search.queries))
            self._outages.compare_waiting(generation.id, proof.noted)
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
        runner: Runner,
        generation: Generation,
        known: Known,
        follower: Follower,
        search: Search,
        wanted: int,
        widening: float,
    ) -> list[list[str]] | None:
        """Ask for ids. Another thread may put another follower into ``known``: the statement compares with this one."""
        from vecstore.backends.milvus.failures import CollectionMissing
        from vecstore.backends.milvus.filters import compile_filter
        from vecstore.backends.milvus.indexes import MAX_K, bound_effort

        collection, plan = known.collection, known.plan
        if collection is None or plan is None or wanted > MAX_K:
            return None
        where = compile_filter(search.where, collection.layout)
        effort = search.ef if search.ef is not None else follower.ef
        if where is None or effort is None or (search.where is not None and not plan.finds_matches(widening)):
            return None
        name, outages, read = collection.name, self._outages, partial(self._read, runner, generation.id)
        counted = self._read_counted(runner, generation, name)
        if (counted is None and outages.stays_short(name, is_whole=False)) or not outages.take_turn():
            return None
        try:
            asked = bound_effort(plan, int(np.ceil(effort * widening)), wanted)
            if counted is not None and outages.stays_short(name, is_whole=check_count(collection, counted, read)):
                outages.end_rest()
                return None
            if not has_served_index(plan, self._read_segments(collection, plan, follower.applied), widening):
                outages.end_rest()
                return None
            hits = collection.search(
                np.asarray(search.queries, np.float32), wanted, where=where, effort=asked, after=follower.applied
            )
        except StoreCorrupt as error:
            outages.end_rest()
            outages.lose(name, error, is_short=not isinstance(error, CollectionMissing))
            self._checked.pop(name, None)
            return None
        except ForkedStore:
            raise
        except StorageError as error:
            outages.rest(error)
            return None
        outages.end_rest()
        outages.find_again(name)
        return [each.ids for each in hits]

    def _read_counted(self, runner: Runner, generation: Generation, name: str) -> Follower | None:
        """Return the follower, now and then, if the catalogue says how many records its collection has now.

        It is read for that: searches that come one upon another learn no counts. A caller's transaction may see counts
        of long ago.
        """
        now = time.monotonic()
        if now < self._checked.get(name, 0.0) or isinstance(runner, CallerTransaction):
            return None
        self._checked[name] = now + BETWEEN_COUNTS
        follower = self._read(runner, generation.id)
        is_counted = follower is not None and follower.collection == name and is_counted_now(follower)
        return follower if is_counted else None

    def _read_segments(self, collection: Collection, plan: IndexPlan, after: int) -> Segments:
        until, found = self._segments.get(collection.name, (0.0, None))
        # Where one replaced record does harm, it is looked for before each search, as long as none was found.
        if found is None or time.monotonic() >= until or not (plan.can_mask or found.removed):
            found = collection.read_segments(after)
            self._segments[collection.name] = time.monotonic() + _LOOKS, found
        return found

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


def _is_later(follower: Follower | None, before: Follower | None) -> bool:
    """Say whether what was read is of the same time as what was known before, or later."""
    return before is None or (follower is not None and follower.applied >= before.applied)
