"""Everything that a Database does because its URL says ``vectors=``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vecstore.backend import Generation, IndexState, Search, Verification
from vecstore.errors import MissingExtra, StorageError, StoreCorrupt, VecstoreError
from vecstore.filters.nodes import Filter
from vecstore.index_options import MilvusIndex

from ..catalogue import Catalogue
from ..client import Client
from ..failures import DENIED, read_state
from ..few_matches_cache import hash_search
from ..generation_table import Layouts
from ..match_estimate import FEW
from ..server_checks import Server
from ..statements import Answer
from ..transaction import Runner
from .feeding import PATIENCE, Feeder
from .follower import FollowerTable, explain_elsewhere
from .route import SearchRoute
from .served_index import explain_unserved, has_served_index
from .upkeep import FollowedUpkeep

if TYPE_CHECKING:
    from vecstore.backends.milvus.options import MilvusOptions
    from vecstore.schema import Schema

_KEPT, _SECONDS = 1_000, 1.0
"""Filters that are remembered at most, and how long."""


class Following:
    """A Milvus server beside a database of PostgreSQL.

    Parameters
    ----------
    options : MilvusOptions
    client : Client
    server : Server
    layouts : Layouts
    catalogue : Catalogue
    """

    def __init__(
        self, options: MilvusOptions, client: Client, server: Server, layouts: Layouts, catalogue: Catalogue
    ) -> None:
        try:
            from vecstore.backends.milvus.client import MilvusClient
        except ModuleNotFoundError as error:
            raise MissingExtra((error.name or "pymilvus").partition(".")[0], "milvus") from error
        self._client = client
        self._asking = MilvusClient(options)
        self._sending = MilvusClient(replace(options, timeout=min(options.timeout, PATIENCE)))
        self.table = FollowerTable(client.options.namespace)
        self.feeder = Feeder(client, self._sending, layouts, self.table)
        self.route = SearchRoute(self._asking, self.table.read)
        self.upkeep = FollowedUpkeep(
            client, server, layouts, catalogue,
            milvus=self._asking, feeder=self.feeder, table=self.table, forget=self.route.forget,
        )  # fmt: skip
        self._widenings: dict[int, tuple[float, float | None]] = {}

    @property
    def place(self) -> str:
        """The server, without secrets."""
        return self._asking.place

    # -- searches

    def answer(
        self,
        runner: Runner,
        generation: Generation,
        search: Search,
        match: Callable[[], Answer],
        finish: Callable[[Mapping[str, Any]], Answer],
    ) -> Answer | None:
        """Return the rows of an answer by way of Milvus; None where PostgreSQL has to compare all matches.

        Parameters
        ----------
        runner : Runner
            Of the statements: the caller's transaction, or a pool.
        generation : Generation
        search : Search
        match : callable
            Runs the statement of `answer.compile_matching`.
        finish : callable
            Runs the statement of `answer.compile_answer`.
        """
        known = self.route.find(runner, generation)
        if known.collection is None or not self.route.can_ask(known):
            return None
        if search.ef is None and (known.follower is None or known.follower.ef is None):
            return None
        widening: float | None = 1.0
        if search.where is not None:
            widening = self._find_widening(generation, search.where, max(FEW, 10 * search.k), match)
        return None if widening is None else self.route.ask(runner, generation, search, widening, finish)

    def _find_widening(
        self, generation: Generation, where: Filter, few: int, match: Callable[[], Answer]
    ) -> float | None:
        """Return how many records there are for one that matches; None where few match."""
        number, now = hash_search(generation.id, where, few), time.monotonic()
        until, widening = self._widenings.get(number, (0.0, None))
        if now < until:
            return widening
        rows = match()
        matches, inverse = rows[0] if rows else (0, 1.0)
        widening = None if matches is not None and matches <= few else max(1.0, float(inverse))
        if len(self._widenings) >= _KEPT:
            self._widenings = {}
        self._widenings[number] = now + _SECONDS, widening
        return widening

    # -- upkeep

    def describe(self, generation: Generation, rows: int, bare: int) -> IndexState | None:
        """Return the state of the index in Milvus; None where nothing follows the generation."""
        follower, least = self.table.read(self._client, generation.id), self._client.options.index_min_rows
        if follower is None:
            return None
        reason = explain_elsewhere(follower, self.place)
        if reason is not None:
            return IndexState("none", rows, 0, least, without_vector=bare, reason=reason)
        if follower.collection is None:
            state: Any = "building" if follower.incoming is not None else "invalid"
            return IndexState(state, rows, 0, least, without_vector=bare)
        collection = self.feeder.open(generation, follower.collection)
        try:
            built = collection.read_index(follower.applied)
        except StorageError as error:
            said = f"PostgreSQL answers all searches. {error}"
            return IndexState("invalid", rows, 0, least, without_vector=bare, reason=said)
        segments, notes = built.segments, self.table.count_notes(self._client, generation.id)
        made = built.plan.params.get("efConstruction")
        interim = segments.interim if built.plan.has_interim else 0
        is_served = has_served_index(built.plan, segments)
        # While the server merges segments, the merged one has no index yet, and searches read those that have.
        unread = interim if is_served else max(built.pending, interim)
        missing = min(rows - bare, unread + notes)
        waiting = None if is_served else explain_unserved(built.plan, segments)
        return IndexState(
            "ready" if is_served else "building", rows, rows - bare - missing, least,
            None if made is None else int(made), bare, built.failure or waiting,
        )  # fmt: skip

    def list_efforts(self, generation: Generation, k: int) -> tuple[int, ...] | None:
        """Return the efforts to calibrate with; None where nothing follows the generation."""
        from vecstore.backends.milvus.indexes import list_efforts

        plan = self.route.find(self._client, generation).plan
        return None if plan is None else list_efforts(plan, k) or (1,)

    def verify(self, generation: Generation, found: Verification) -> Verification:
        """Add what is wrong with the collection, and name collections that are left to be dropped.

        What is left says nothing about a generation that is being filled.
        """
        problems, unchecked = list(found.problems), list(found.unchecked)
        try:
            self.upkeep.keep_count(generation)
        except StoreCorrupt as error:
            problems.append(str(error))
        except VecstoreError as error:
            if read_state(error.__cause__ or error) == DENIED:
                raise
            unchecked.append(f"The collection in Milvus was not compared: {error}")
        left = [] if generation.standby else self.table.list_left(self._client, self.place)
        if left:
            named = ", ".join(left)
            problems.append(f"Milvus still has collections that nothing names: {named}. vecstore follow drops them")
        return replace(found, problems=tuple(problems), unchecked=tuple(unchecked))

    def check_index(self, schema: Schema) -> None:
        """Refuse an index that the server does not have, where it can be asked.

        Raises
        ------
        Unsupported, InvalidArgument
        """
        if isinstance(schema.index, MilvusIndex):
            with suppress(StorageError):
                self.upkeep.plan(schema)

    def drop_left(self) -> None:
        """Drop collections that nothing names any more, as far as Milvus answers."""
        self.feeder.drop_left()

    def close(self) -> None:
        """End the connections."""
        for each in (self._asking, self._sending):
            with suppress(StorageError):
                each.close()


def check_installed(vectors: MilvusOptions | None) -> None:
    """Refuse a URL with ``vectors=`` where the driver is not installed, before any I/O.

    Raises
    ------
    MissingExtra
    """
    for name in ("grpc", "pymilvus") if vectors is not None else ():
        if find_spec(name) is None:
            raise MissingExtra(name, "milvus")
