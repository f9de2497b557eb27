"""Random programs on a store, each step done on ``memory:`` too, which has to say the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from .. import connect
from ..database import Database
from ..errors import VecstoreError
from ..filters.field_ref import F
from ..filters.nodes import Filter
from ..hits import Hits
from ..index_options import HNSW, Flat, IndexOptions
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .chance import lowest_mean
from .example_counts import choose_counts
from .judgement import check_hits, measure_recall, to_bits
from .place import Place, Places
from .program_arguments import (
    DIM,
    INDEXES,
    SCHEMAS,
    batches,
    conditions,
    id_lists,
    ids,
    metadata,
    selections,
    values,
    vectors,
    wheres,
)

CROWD = 900
"""So many records that an index is worth while for the few hits that the programs ask for."""
FILLING = [1.0, 2.0, 1.0]
"""A vector for records that were drawn without one."""
UPKEEP = ["reopen", "rename", "rollback", "reindex", "compact"]
LEAST_RECALL, MEAN_RECALL = 0.95, 0.99
"""Of the approximate answers of one program, once there are enough of them, and of a whole run."""
ENOUGH = 20


class StoreMachine(RuleBasedStateMachine):
    """A store on the place under test beside one in memory."""

    examples = 0

    def __init__(self, place: Place, db: Database, size: int) -> None:
        super().__init__()
        self.place = place
        self.db = db
        self.size, self.recalls = size, list[float]()
        self.oracle_db = connect("memory:")
        StoreMachine.examples += 1
        self.names = [f"{letter}{StoreMachine.examples}" for letter in "ab"]
        self.store: VectorStore
        self.oracle: VectorStore

    def both(self, deed: Callable[[Database, VectorStore], Any]) -> Any:
        """Do the same on both sides; return what both said, a value or the class of an error."""
        said = []
        for db, store in ((self.db, self.store), (self.oracle_db, self.oracle)):
            try:
                said.append(deed(db, store))
            except VecstoreError as error:
                said.append(type(error))
        assert said[0] == said[1]
        return said[0]

    @initialize(schema=st.sampled_from(SCHEMAS))
    def create(self, schema: Schema) -> None:
        schema = self.indexed(schema)
        self.store = self.db.create(self.names[0], schema)
        self.oracle = self.oracle_db.create(self.names[0], schema)
        self.both(lambda db, store: store.insert(self.fit(crowd(self.size))))

    def fit(self, batch: list[Record]) -> list[Record]:
        """Return records with vectors where the schema requires them; a batch with one that lacks it does nothing."""
        if self.store.schema.has_optional_vectors:
            return batch
        return [replace(each, vector=FILLING) if each.vector is None else each for each in batch]

    def indexed(self, schema: Schema) -> Schema:
        """Return a schema for these programs: on a crowd they are about an index."""
        return schema.with_index(HNSW()) if self.size else schema

    @rule(batch=batches)
    def insert(self, batch: list[Record]) -> None:
        batch = self.fit(batch)
        self.both(lambda db, store: store.insert(batch))

    @rule(batch=batches, size=st.sampled_from([None, None, 4]))
    def upsert(self, batch: list[Record], size: int | None) -> None:
        batch = self.fit(batch)
        self.both(lambda db, store: store.upsert(batch, batch_size=size))

    @rule(
        selection=selections,
        changes=metadata,
        vector=st.just("keep") | vectors | st.none(),
        text=st.sampled_from(["keep", None]),
    )
    def update(self, selection: Any, changes: dict[str, Any], vector: Any, text: str | None) -> None:
        given: dict[str, Any] = {"vector": vector, "text": text}
        parts = {name: part for name, part in given.items() if part != "keep"}
        self.both(lambda db, store: store.update(**selection, metadata=changes, **parts))

    @rule(selection=selections, keys=st.sets(st.sampled_from([*values, "text"]), min_size=1, max_size=2))
    def unset(self, selection: Any, keys: set[str]) -> None:
        self.both(lambda db, store: store.update(**selection, unset=keys))

    @rule(listed=id_lists)
    def delete(self, listed: list[str]) -> None:
        self.both(lambda db, store: store.delete(ids=listed))

    @rule(where=conditions, rarely=st.integers(0, 3))
    def delete_where(self, where: Filter, rarely: int) -> None:
        self.both(lambda db, store: store.delete(where=where & F.n.in_([rarely, -rarely])))

    @rule(listed=id_lists)
    def get(self, listed: list[str]) -> None:
        self.both(lambda db, store: [to_bits(record) for record in store.get(listed)])

    @rule(where=wheres)
    def count(self, where: Filter | None) -> None:
        self.both(lambda db, store: store.count(where))

    @rule(where=wheres, size=st.sampled_from([1, 7, 1_000]))
    def scan(self, where: Filter | None, size: int) -> None:
        self.both(lambda db, store: [to_bits(record) for record in store.scan(where, batch_size=size)])

    @rule(where=wheres)
    def digest(self, where: Filter | None) -> None:
        self.both(lambda db, store: store.digest(where))

    @rule(query=vectors, k=st.integers(1, 12), where=wheres, exact=st.booleans(), floor=st.none() | st.floats(-4, 4))
    def search(self, query: list[float], k: int, where: Filter | None, exact: bool, floor: float | None) -> None:  # noqa: FBT001
        if floor is not None:
            lowest, highest = self.db.open(self.names[0]).schema.metric.score_range
            floor = min(max(floor, lowest), highest)
        answers: list[Hits | VecstoreError] = []
        for store, wanted, least in ((self.store, k, floor), (self.oracle, 10_000, None)):
            try:
                answers.append(store.search(query, wanted, where=where, exact=exact, min_score=least))
            except VecstoreError as error:
                answers.append(error)
        found, truth = answers
        if isinstance(truth, Hits):
            assert isinstance(found, Hits)
            check_hits(found, truth, k, floor, self.store.schema, exact=exact)
            if not found.exact:
                self.recalls.append(measure_recall(found, truth, k, floor))
        else:
            assert type(found) is type(truth)

    @rule(id_=ids, k=st.integers(1, 5))
    def similar_to(self, id_: str, k: int) -> None:
        self.both(lambda db, store: len(store.similar_to(id_, k)))

    @rule(what=st.sampled_from(UPKEEP), index=st.sampled_from(INDEXES))
    def upkeep(self, what: str, index: IndexOptions | None) -> None:
        if what == "reindex":
            self.both(lambda db, store: store.reindex(HNSW() if self.size and index == Flat() else index))
        elif what == "compact":
            self.both(lambda db, store: store.compact())
        else:
            getattr(self, what)()

    def reopen(self) -> None:
        """Go on with another connection."""
        if self.place.shared:
            self.db.close()
            self.db = self.place.connect()
        self.store = self.db.open(self.names[0])

    def rename(self) -> None:
        """Give the store its other name."""
        self.both(lambda db, store: db.rename(*self.names))
        self.names.reverse()

    @rule(schema=st.sampled_from(SCHEMAS), keep=st.booleans())
    def rebuild(self, schema: Schema, *, keep: bool) -> None:
        wanted = self.indexed(schema)
        self.both(lambda db, store: db.rebuild(self.names[0], schema=wanted, keep_previous=keep).records)
        assert self.db.open(self.names[0]).schema == self.oracle_db.open(self.names[0]).schema

    def rollback(self) -> None:
        """Go back to the generation that was replaced, where one is kept."""
        self.both(lambda db, store: db.rollback(self.names[0]).records)

    @precondition(lambda self: not self.size and self.oracle.count() > 20)
    @rule(schema=st.sampled_from(SCHEMAS))
    def drop_and_create(self, schema: Schema) -> None:
        old = self.store
        for db in (self.db, self.oracle_db):
            db.drop(self.names[0])
        self.store, self.oracle = (db.create(self.names[0], schema) for db in (self.db, self.oracle_db))
        try:
            old.count()
        except VecstoreError:
            return
        raise AssertionError("a handle of a dropped store still answers")

    @precondition(lambda self: self.oracle.count() > 32)
    @rule(asked=st.lists(vectors, min_size=5, max_size=5), ef=st.sampled_from([None, 1, 40]), where=st.none() | wheres)
    def search_many(self, asked: list[list[float]], ef: int | None, where: Filter | None) -> None:
        try:
            truth = self.oracle.search_many(asked, 10_000, where=where)
        except VecstoreError:
            return  # one of them is zero under cosine, or the filter is for another schema: `search` looks at that
        for found, true in zip(self.store.search_many(asked, 10, where=where, ef=ef), truth, strict=True):
            check_hits(found, true, 10, None, self.store.schema, exact=False)
            if not found.exact and ef != 1:
                self.recalls.append(measure_recall(found, true, 10, None))

    def teardown(self) -> None:
        if hasattr(self, "oracle"):
            self.both(lambda db, store: [to_bits(record) for record in store.scan()])
            self.both(lambda db, store: store.digest())
            assert len(self.recalls) < ENOUGH or np.mean(self.recalls) >= lowest_mean(self.recalls, LEAST_RECALL)
            assert self.store.verify().ok
            self.db.drop(self.names[0])
        if self.place.shared:
            self.db.close()


def crowd(size: int) -> list[Record]:
    """Return records that no rule names, though filters find them."""
    rows = np.random.default_rng(1).normal(size=(size, DIM)).astype(np.float16)
    return [
        Record(
            f"crowd{number:04}", row if number % 7 else None, None, {"lang": "en"} if number % 5 else {"n": number % 3}
        )
        for number, row in enumerate(rows)
    ]


class StateMachineTests(Places):
    """Random programs do the same on a store as on one in memory; `ExampleCounts` says how many there are."""

    def test_random_programs(self, place: Place, record_property: Callable[[str, object], None]) -> None:
        counts = choose_counts(place)
        run_programs(place, 0, counts.programs, counts.steps)
        record_property("summary", describe_run(place, counts.programs, counts.steps))

    def test_random_programs_on_a_crowd(self, place: Place, record_property: Callable[[str, object], None]) -> None:
        """A tenth as many, on enough records that searches use an index."""
        counts = choose_counts(place)
        programs = max(1, counts.programs // 10)
        recalls = run_programs(place, CROWD, programs, counts.steps)
        mean = float(np.mean(recalls)) if recalls else 1.0
        assert mean >= lowest_mean(recalls, MEAN_RECALL), f"{len(recalls)} approximate answers"
        figures = f"over {CROWD} records; {len(recalls)} approximate answers, mean recall {mean:.4f}"
        record_property("summary", f"{describe_run(place, programs, counts.steps)} {figures}")


def describe_run(place: Place, programs: int, steps: int) -> str:
    """Return the beginning of a line about a run."""
    return f"{programs} random programs of {steps} steps on {type(place).__name__}"


def run_programs(place: Place, size: int, programs: int, steps: int) -> list[float]:
    """Run programs that begin with ``size`` records; return the recalls of their approximate answers."""
    shape = settings(
        max_examples=programs,
        stateful_step_count=steps,
        suppress_health_check=list(HealthCheck),
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    )
    recalls: list[float] = []

    # A Database for each example: a failing one may leave its own in any state.
    class Machine(StoreMachine):
        """A machine that knows where it runs."""

        def __init__(self) -> None:
            super().__init__(place, place.connect(), size)

        def teardown(self) -> None:
            recalls.extend(self.recalls)
            super().teardown()

    run_state_machine_as_test(Machine, settings=shape)
    return recalls
