"""Statements compiled for one store serve all stores with the same columns, and filters of the same shape."""

from __future__ import annotations

from typing import NoReturn

import pytest

from tests.batches import batch, schema, vector_of
from vecstore import Database, F, Filter, Record, Schema, fields
from vecstore.backends.postgres import bulk_copy, catalogue, change_list, reads, search, statement_cache, writes

from .stores import open_database, prepare_namespace

COMPILING = (catalogue, change_list, bulk_copy, reads, search, writes)
FILTERS = [F.tag == 1, F.tag.between(1, 2) & ~F.word.in_(["w1", "w2"]), F.tag.in_([]) | F.id.exists()]


def use_every_statement(db: Database, name: str, where: Filter) -> None:
    """Read and change records with every kind of statement."""
    store = db.create(name, schema())
    store.insert(batch(1))
    store.upsert([*batch(1), *batch(2)])
    for condition in (None, where):
        store.count(condition)
        list(store.scan(condition, batch_size=3))
        store.search(vector_of(1), where=condition)
        store.search(vector_of(1), where=condition, exact=True)
        store.search_many([vector_of(1), vector_of(2)], where=condition)
    store.get(["b00001-00"])
    store.similar_to("b00002-00")
    store.update(where=where, metadata={"tag": 3, "more": 1})
    store.update(ids=["b00001-00"], metadata={"tag": 3, "more": 1})
    store.delete(where=where)
    store.delete(ids=["b00001-01"])


def test_a_second_store_and_other_filters_compile_nothing_of_that(
    postgres_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("compiled again")

    monkeypatch.setattr(statement_cache, "_made", {})  # a full one is emptied, perhaps in the middle of this
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as db:
        use_every_statement(db, "first", FILTERS[0])
    for module in COMPILING:
        monkeypatch.setattr(module, "compile_statement", refuse)
    with open_database(postgres_url, namespace) as db:
        for number, where in enumerate(FILTERS):
            use_every_statement(db, f"next_{number}", where)


def test_stores_of_one_form_are_not_mistaken_for_each_other(postgres_url: str, namespace: str) -> None:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as db:
        stores = [db.create(f"store_{number}", schema()) for number in range(3)]
        for number, store in enumerate(stores):
            store.insert(batch(number))
        for number, store in enumerate(stores):
            here = F.tag == number
            assert store.count(here) == store.count() == 20
            assert [store.count(F.tag == other) for other in range(3) if other != number] == [0, 0]
            assert {hit.id for hit in store.search(vector_of(number), 20, where=here)} == {
                record.id for record in batch(number)
            }


def test_fields_may_be_called_as_the_marks_are(postgres_url: str, namespace: str) -> None:
    names = ("id_of_this_form", "rows_of_this_form")
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as db:
        store = db.create("store", Schema(dim=2, fields={name: fields.Int() for name in names}))
        store.insert(Record(str(number), [number, 1], metadata=dict.fromkeys(names, number)) for number in range(9))
        where = (F[names[0]] == 3) | (F[names[1]] == 4)
        assert store.count(where) == len(store.search([1, 1], where=where)) == store.delete(where=where) == 2
