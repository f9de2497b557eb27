"""`VectorStore.copy_to` between every two backends."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

import vecstore
from tests.swap.books import RICH, check_clean, find_entry, make_store, read_state
from tests.swap.conftest import NewPlace
from vecstore import (
    Database,
    F,
    InvalidArgument,
    InvalidVector,
    Metric,
    Record,
    Schema,
    StoreChanged,
    StoreCorrupt,
    StoreExists,
    StoreLocked,
    StoreNotFound,
    Unsupported,
    fields,
)
from vecstore.backend import Update
from vecstore.testing import Place
from vecstore.testing.sample_records import SCHEMA, make_book, make_books, read_contents
from vecstore.testing.toy_embedder import ToyEmbedder


def test_everything_makes_the_trip(pair: tuple[Place, Place], databases: tuple[Database, Database]) -> None:
    store = make_store(pair[0], databases[0])
    done = store.copy_to(databases[1], "copy")
    there = databases[1].open("copy")
    assert read_state(pair[1], "copy") == read_state(pair[0])
    assert read_contents(there) == read_contents(store)
    assert (done.records, done.caught_up, done.overlap) == (store.count(), 0, 1.0)
    assert done.digest == read_state(pair[0])[0]
    for place, name in ((pair[0], "docs"), (pair[1], "copy")):
        check_clean(place, name)
    assert databases[1].names() == ["copy"]
    where = F["shelf"].exists() & (F.year >= 2003)
    ours, theirs = (each.search([4, 3, 2, 1], k=20, where=where, exact=True) for each in (store, there))
    assert [hit.score for hit in ours] == pytest.approx([hit.score for hit in theirs])
    assert {hit.id for hit in ours} == {hit.id for hit in theirs}


def test_writes_go_on_meanwhile(pair: tuple[Place, Place], databases: tuple[Database, Database]) -> None:
    store = make_store(pair[0], databases[0])
    number = iter(range(1_000, 2_000))

    def write(phase: str, done: int, total: int | None) -> None:
        new = next(number)
        store.upsert([make_book(new), make_book(new, id="book-00009")])
        store.delete(ids=[f"book-{new - 990:05}"])
        store.update(ids=["book-00030"], metadata={"year": new})

    done = store.copy_to(databases[1], on_progress=write)
    assert done.caught_up > 0
    assert read_state(pair[1]) == read_state(pair[0])
    assert done.digest == read_state(pair[1])[0]
    check_clean(pair[0])
    check_clean(pair[1])


def test_a_record_with_a_version_goes_after_it_was_compared(
    two: tuple[Place, Place], both: tuple[Database, Database]
) -> None:
    store = make_store(two[0], both[0])

    def delete(phase: str, done: int, total: int | None) -> None:
        if phase == "comparing" and done == total:
            store.delete(ids=["book-00001"])

    done = store.copy_to(both[1], on_progress=delete)
    assert (done.digest, done.records) == (read_state(two[1])[0], store.count())
    assert read_state(two[1]) == read_state(two[0])


def test_once_around_is_the_same(new_place: NewPlace) -> None:
    places = [new_place(kind) for kind in ("file", "postgres", "redis", "file")]
    databases = [place.connect() for place in places]
    make_store(places[0], databases[0])
    for here, there in pairwise(databases):
        here.open("docs").copy_to(there)
    assert read_state(places[-1]) == read_state(places[0])
    for database in databases:
        database.close()


@pytest.fixture
def two(new_place: NewPlace) -> tuple[Place, Place]:
    return new_place("file"), new_place("memory")


@pytest.fixture
def both(two: tuple[Place, Place]) -> tuple[Database, Database]:
    return two[0].connect(), two[1].connect()


def test_it_may_stay_in_its_database(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])
    assert store.copy_to(both[0], "twin").records == store.count()
    assert read_state(two[0], "twin") == read_state(two[0])
    with pytest.raises(StoreExists):
        store.copy_to(both[0])


def test_a_taken_name_is_refused_before_anything_is_written(
    two: tuple[Place, Place], both: tuple[Database, Database]
) -> None:
    store = make_store(two[0], both[0])
    both[1].create("docs", SCHEMA).insert(make_books(range(3)))
    with pytest.raises(StoreExists, match="'docs' in the target"):
        store.copy_to(both[1])
    assert both[1].open("docs").count() == 3
    check_clean(two[0])


@pytest.mark.parametrize("other", ["file:./kb", None, 7])
def test_the_other_place_is_a_database(both: tuple[Database, Database], other: object) -> None:
    store = both[0].create("docs", SCHEMA)
    with pytest.raises(InvalidArgument, match="must be a Database"):
        store.copy_to(other)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="records_per_second"):
        store.copy_to(both[1], records_per_second=0)
    with pytest.raises(InvalidArgument):
        store.copy_to(both[1], "Not A Name")
    with pytest.raises(InvalidArgument, match="embedder"):
        store.copy_to(both[1], embedder="wordllama")  # type: ignore[arg-type]
    assert both[1].names() == []


def test_a_read_only_target_is_refused(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])
    with vecstore.connect(f"{two[0].url}&mode=ro") as reader, pytest.raises(Unsupported, match="read-only"):
        store.copy_to(reader, "copy")
    check_clean(two[0])


def test_what_the_target_cannot_store_is_refused(new_place: NewPlace) -> None:
    here, there = new_place("memory").connect(), new_place("postgres").connect()
    store = here.create("docs", Schema(dim=5_000, metric="ip", index=RICH.index))
    with pytest.raises(Unsupported, match="HNSW"):
        store.copy_to(there)
    assert there.names() == []
    there.close()


def test_a_read_only_source_takes_no_notes(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])
    with vecstore.connect(f"{two[0].url}&mode=ro") as reader:
        done = reader.open("docs").copy_to(both[1])
        assert done.digest == read_state(two[0])[0]
        assert read_state(two[1]) == read_state(two[0])

        def write(phase: str, done: int, total: int | None) -> None:
            if phase == "copying":
                store.upsert([make_book(done + 500)])

        with pytest.raises(StoreChanged, match="read-only"):
            reader.open("docs").copy_to(both[1], "later", on_progress=write)
        assert "later" not in both[1].names()
        assert reader.open("docs").copy_to(both[1], "later").records == store.count()
    assert read_state(two[1], "later") == read_state(two[0])


def test_another_model_and_another_schema(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    old, new = ToyEmbedder(4, name="old"), ToyEmbedder(6, seed=1, name="new")
    store = both[0].create("docs", Schema(metric="cosine", fields={"year": fields.Int()}), embedder=old)
    store.upsert(
        [Record(f"r{each}", text=f"text {each}", metadata={"year": each, "edition": each}) for each in range(20)]
    )
    done = store.copy_to(both[1], embedder=new)
    there = both[1].open("docs", embedder=new)
    assert there.schema.dim == 6
    assert there.search("text 7", k=1)[0].id == "r7"
    assert (done.records, done.digest) == (20, read_state(two[1])[0])
    wider = replace(store.schema, fields={"year": fields.Int(), "edition": fields.Int()})
    store.copy_to(both[1], "wider", schema=wider)
    assert both[1].open("wider").count(F.edition >= 10) == 10
    store.upsert([Record("mute", [1, 2, 3, 4])])
    with pytest.raises(InvalidVector, match=r"'mute'.*no text"):
        store.copy_to(both[1], "third", embedder=new)
    with pytest.raises(InvalidArgument, match="dimensions"):
        store.copy_to(both[1], "fourth", schema=replace(store.schema, dim=6))


def test_a_claim_meanwhile_is_copied(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    words = ToyEmbedder(4)
    both[0].create("docs", replace(SCHEMA, metric=Metric.COSINE)).insert(make_books(range(3)))
    store = both[0].open("docs", embedder=words)

    def claim(phase: str, done: int, total: int | None) -> None:
        store.check_embedder(claim=True)

    store.copy_to(both[1], on_progress=claim)
    claimed = find_entry(two[0]).active.identity
    assert claimed is not None
    assert find_entry(two[1]).active.identity == claimed


def test_an_interrupted_copy_goes_on(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])

    class Stop(Exception):
        pass

    def stop(phase: str, done: int, total: int | None) -> None:
        if phase == "comparing":
            raise Stop

    with pytest.raises(Stop):
        store.copy_to(both[1], on_progress=stop)
    assert both[1].names() == []
    with pytest.raises(StoreLocked, match="unfinished target of a copy"):
        both[1].open("docs")
    store.upsert([make_book(77)])
    with pytest.raises(InvalidArgument, match=r"was interrupted.*abort_move"):
        store.copy_to(both[1], "other")
    with pytest.raises(InvalidArgument, match="was interrupted"):
        store.move_to(both[1], accept_volatile=True)
    with pytest.raises(StoreLocked, match="was interrupted"):
        both[0].rebuild("docs", schema=replace(store.schema, dtype="float16"))
    done = store.copy_to(both[1])
    assert done.caught_up == 1
    assert read_state(two[1]) == read_state(two[0])
    check_clean(two[0])


def test_an_interrupted_copy_is_given_up(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])
    for target in (both[1], None):

        def stop(phase: str, done: int, total: int | None) -> None:
            raise InterruptedError

        with pytest.raises(InterruptedError):
            store.copy_to(both[1], on_progress=stop)
        assert store.abort_move(target)
        assert not store.abort_move(target)
        check_clean(two[0])
    with pytest.raises(StoreLocked):
        both[1].open("docs")
    store.upsert([make_book(78)])  # noted by nobody
    assert store.copy_to(both[1]).records == store.count(), "what stayed there is of no use"
    with pytest.raises(StoreNotFound):
        both[1].drop("other", moved=True)


def test_a_rebuild_that_was_interrupted_comes_first(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])

    def stop(phase: str, done: int, total: int | None) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        both[0].rebuild("docs", schema=replace(RICH, dtype="float16"), on_progress=stop)
    with pytest.raises(StoreLocked, match="rebuild of store 'docs' was interrupted"):
        store.copy_to(both[1])
    assert both[1].names() == []


def test_a_copy_that_differs_is_given_up(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])
    backend = two[1].backend()

    def damage(phase: str, done: int, total: int | None) -> None:
        target = backend.find(name="docs").building
        assert target is not None
        backend.update(target, ["book-00007"], Update({}, {}, sets_text=True, text="other"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vecstore.swap.proof.Proof.settle", lambda self, catch_up: None)
        with pytest.raises(StoreCorrupt, match=r"'book-00007'.*given up"):
            store.copy_to(both[1], on_progress=damage)
    with pytest.raises(StoreNotFound):
        find_entry(two[1])
    check_clean(two[0])
    assert store.copy_to(both[1]).records == store.count()


def test_one_call_at_a_time(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])
    refused: list[str] = []

    def again(phase: str, done: int, total: int | None) -> None:
        for other in (lambda: store.copy_to(both[1], "second"), lambda: store.abort_move(both[1])):
            with pytest.raises(StoreLocked) as caught:
                other()
            refused.append(str(caught.value))
        with pytest.raises(StoreLocked):
            both[1].drop("docs", moved=True)

    store.copy_to(both[1], on_progress=again)
    assert refused
