"""Strings in every slot: each is kept and found byte by byte, or refused with nothing written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from .. import fields
from ..database import Database
from ..errors import InvalidFilter, InvalidId, InvalidMetadata, UnknownField
from ..filters.dict_form import to_dict
from ..filters.field_ref import F
from ..filters.nodes import ALL, Filter
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .corpus import STRINGS, list_accepted, list_decoys, list_refused
from .place import Place, Places

SCHEMA = Schema(
    dim=2, index=Flat(), fields={"word": fields.Keyword(), "tags": fields.Keywords(), "n": fields.Int()}
)  # fmt: skip
CANARY = Record(
    "canary", [3.0, 4.0], "the canary sings", {"word": "canary", "tags": ["canary"], "n": -9, "cage": {"a": None}}
)
VECTOR = [1.0, 0.0]

# Bytes that each slot keeps, as the contract gives them.
ID = (1, 512)
KEYWORD = (0, 1024)
ANY = (0, 1 << 20)


def canary_is_untouched(store: VectorStore) -> bool:
    return store.get(["canary"]) == [CANARY]


def only_the_canary(store: VectorStore) -> bool:
    return list(store.scan()) == [CANARY] and store.count() == 1


def by_scan(store: VectorStore, where: Filter) -> list[object]:
    return [record.metadata["n"] for record in store.scan(where)]


def by_search(store: VectorStore, where: Filter) -> list[object]:
    return [dict(hit.metadata or {})["n"] for hit in store.search(VECTOR, 20, where=to_dict(where))]


FINDERS = (by_scan, by_search)


def misses(store: VectorStore, values: list[str], where: Callable[[str], Filter]) -> list[str]:
    """Return the values whose filter does not find exactly the record with that value's number."""
    return [
        value for number, value in enumerate(values) if FINDERS[number % len(FINDERS)](store, where(value)) != [number]
    ]


class StringTests(Places):
    """Every string of the corpus in every slot, beside twins that differ by case, a blank or a normal form."""

    @pytest.fixture
    def words(self, db: Database) -> Iterator[VectorStore]:
        """Return a store with the canary in it, which no test may touch."""
        store = db.create("words", SCHEMA)
        store.upsert([CANARY])
        yield store
        assert canary_is_untouched(store)

    def test_ids_are_found_byte_by_byte(self, words: VectorStore, place: Place) -> None:
        values, twins = list_accepted(*ID), list_decoys(list_accepted(*ID), *ID)
        words.insert(Record(id_, VECTOR, id_, {"n": number}) for number, id_ in enumerate(values))
        words.upsert(Record(id_, VECTOR, id_, {"n": -1}) for id_ in twins)
        everything = sorted([*values, *twins, "canary"], key=str.encode)
        assert [record.id for record in words.scan()] == everything
        assert [record and (record.id, record.metadata["n"]) for record in words.get(values)] == [
            (value, number) for number, value in enumerate(values)
        ]
        assert misses(words, values, lambda value: F.id == value) == []
        assert words.count(F.id.in_(values)) == len(values)
        assert words.count(F.id.not_in(values)) == len(twins) + 1
        stored = place.raw("words")
        assert stored is None or {id_: raw.text for id_, raw in stored.items()} == {
            **{id_: id_ for id_ in everything}, "canary": CANARY.text
        }  # fmt: skip

    def test_ids_select_what_is_changed_and_removed(self, words: VectorStore) -> None:
        values, twins = list_accepted(*ID), list_decoys(list_accepted(*ID), *ID)
        words.upsert(Record(id_, VECTOR, metadata={"n": 0}) for id_ in [*values, *twins])
        assert words.update(ids=values, metadata={"n": 1}) == len(values)
        assert {record.id for record in words.scan(F.n == 1)} == set(values)
        assert [hit.id for hit in words.similar_to(values[0], len(values), where=F.n == 1)] == sorted(
            values[1:], key=str.encode
        )
        assert words.delete(ids=values) == len(values)
        assert words.get(values) == [None] * len(values)
        assert {record.id for record in words.scan()} == {*twins, "canary"}

    def test_ids_that_cannot_be_kept_are_refused(self, words: VectorStore) -> None:
        good = Record("good", VECTOR)
        calls: list[Callable[[str], object]] = [
            lambda id_: words.upsert([good, Record(id_, VECTOR)]),
            lambda id_: words.insert([Record(id_, VECTOR), good]),
            lambda id_: words.update(ids=["canary", id_], metadata={"n": 1}),
            lambda id_: words.delete(ids=["canary", id_]),
            lambda id_: words.get(["canary", id_]),
            lambda id_: words.similar_to(id_),
        ]
        for id_ in list_refused(*ID):
            for call in calls:
                with pytest.raises(InvalidId):
                    call(id_)
        assert only_the_canary(words)

    def test_keywords_are_found_byte_by_byte(self, words: VectorStore) -> None:
        values, twins = list_accepted(*KEYWORD), list_decoys(list_accepted(*KEYWORD), *KEYWORD)
        words.upsert(
            Record(f"{number}", VECTOR, metadata={"word": value, "n": number if number < len(values) else -1})
            for number, value in enumerate([*values, *twins])
        )
        stored = words.get([f"{number}" for number in range(len(values))])
        assert [record and record.metadata["word"] for record in stored] == values
        assert misses(words, values, lambda value: F.word == value) == []
        assert words.count(F.word.in_(values)) == len(values)
        assert words.count(F.word.not_in(values)) == len(twins) + 1
        assert words.delete(where=F.word.in_(values)) == len(values)
        assert words.count() == len(twins) + 1

    def test_elements_of_keywords_are_found_byte_by_byte(self, words: VectorStore) -> None:
        values, twins = list_accepted(*KEYWORD), list_decoys(list_accepted(*KEYWORD), *KEYWORD)
        words.upsert(
            Record(f"{number}", VECTOR, metadata={"tags": ["common", value, value], "n": number})
            for number, value in enumerate(values)
        )
        words.upsert([Record("twins", VECTOR, metadata={"tags": twins[:1000], "n": -1})])
        stored = words.get([f"{number}" for number in range(len(values))])
        assert [record and record.metadata["tags"] for record in stored] == [
            ["common", value, value] for value in values
        ]
        assert misses(words, values, lambda value: F.tags.contains(value)) == []
        assert misses(words, values, lambda value: F.tags.contains_all([value, "common"])) == []
        assert words.count(F.tags.contains_any(values)) == len(values)
        assert words.count(F.tags.contains_all([values[3], values[4]])) == 0

    def test_texts_come_back_byte_by_byte(self, words: VectorStore, place: Place) -> None:
        values = list_accepted(*ANY)
        words.upsert(Record(f"{number:04}", VECTOR, value) for number, value in enumerate(values))
        words.upsert([Record("none", VECTOR)])
        assert [record.text for record in words.scan(F.word.is_missing())] == [*values, None]
        found = words.search(VECTOR, 10_000, where=F.word.is_missing(), include=["text"])
        assert {hit.id: hit.text for hit in found} == {
            **{f"{number:04}": value for number, value in enumerate(values)}, "none": None
        }  # fmt: skip
        stored = place.raw("words")
        assert stored is None or [stored[id_].text for id_ in sorted(stored)] == [*values, CANARY.text, None]

    def test_texts_that_cannot_be_kept_are_refused(self, words: VectorStore) -> None:
        for text in list_refused(*ANY):
            with pytest.raises(InvalidMetadata):
                words.upsert([Record("good", VECTOR, "good"), Record("bad", VECTOR, text)])
            with pytest.raises(InvalidMetadata):
                words.update(where=ALL, text=text, vector=VECTOR)
        assert only_the_canary(words)

    def test_metadata_keys_come_back_byte_by_byte(self, words: VectorStore) -> None:
        values = [value for value in list_accepted(*ANY) if value not in SCHEMA.fields]
        twins = [value for value in list_decoys(values, *ANY) if value not in SCHEMA.fields]
        every = {**{value: number for number, value in enumerate(values)}, **dict.fromkeys(twins, -1)}
        words.upsert([Record("every", VECTOR, metadata=every)])
        words.upsert(Record(f"{number}", VECTOR, metadata={value: value}) for number, value in enumerate(values))
        assert metadata_of(words, "every") == list(every.items())
        wrong = [value for number, value in enumerate(values) if metadata_of(words, f"{number}") != [(value, value)]]
        assert wrong == []
        words.update(ids=["every"], metadata=dict.fromkeys(values[::2], "new"), unset=values[1::2])
        assert dict(metadata_of(words, "every")) == {**dict.fromkeys(values[::2], "new"), **dict.fromkeys(twins, -1)}

    def test_metadata_values_come_back_byte_by_byte(self, words: VectorStore) -> None:
        values = list_accepted(*ANY)
        nested = [{"top": value, "deep": [value, {"in": {value: [value]}}]} for value in values]
        words.upsert(Record(f"{number}", VECTOR, metadata=each) for number, each in enumerate(nested))
        stored = words.get([f"{number}" for number in range(len(values))])
        assert [record and record.metadata for record in stored] == nested

    def test_metadata_that_cannot_be_kept_is_refused(self, words: VectorStore) -> None:
        for bad in list_refused(*ANY):
            slots: list[Mapping[str, Any]] = [{bad: 1}, {"top": bad}, {"top": [{"in": bad}]}, {"top": {"in": {bad: 1}}}]
            for metadata in [*slots, {"word": bad}, {"tags": ["good", bad]}]:
                with pytest.raises(InvalidMetadata):
                    words.upsert([Record("good", VECTOR), Record("bad", VECTOR, metadata=metadata)])
                with pytest.raises(InvalidMetadata):
                    words.update(where=ALL, metadata=metadata)
            with pytest.raises(InvalidMetadata):
                words.update(where=ALL, unset=[bad])
        assert only_the_canary(words)

    def test_keywords_beyond_their_length_are_refused(self, words: VectorStore) -> None:
        for bad in list_refused(*KEYWORD):
            for metadata in ({"word": bad}, {"tags": ["good", bad]}):
                with pytest.raises(InvalidMetadata):
                    words.upsert([Record("bad", VECTOR, metadata=metadata)])
        assert only_the_canary(words)

    def test_filter_values_that_nothing_has_match_nothing(self, words: VectorStore) -> None:
        for value in list_accepted(*KEYWORD):
            for where in (F.word == value, F.word.in_([value]), F.tags.contains(value), F.tags.contains_any([value])):
                assert words.count(where) == 0, where
                assert words.count(~where) == 1, where
                assert words.delete(where=to_dict(where)) == 0, where

    def test_filter_values_that_cannot_be_stored_are_refused(self, words: VectorStore) -> None:
        for value in list_refused(*KEYWORD):
            filters: list[Filter] = [
                F.word == value, F.word != value, F.word.in_(["canary", value]), F.word.not_in([value]),
                F.tags.contains(value), F.tags.contains_any([value]), F.tags.contains_all(["canary", value]),
                F.id == value, F.id != value, F.id.in_([value]),
            ]  # fmt: skip
            for where in filters:
                for spelling in (where, to_dict(where)):
                    with pytest.raises(InvalidFilter):
                        words.delete(where=spelling)

    def test_filter_fields_are_looked_up_in_the_schema(self, words: VectorStore) -> None:
        for name in STRINGS:
            for where in (F[name] == "canary", F[name].exists(), F.word.exists() & ~F[name].contains("canary")):
                for call in (words.count, words.scan, lambda where: words.search(VECTOR, where=where)):
                    with pytest.raises(UnknownField):
                        call(where)
                with pytest.raises(UnknownField):
                    words.delete(where=where)
                with pytest.raises(UnknownField):
                    words.update(where=where, metadata={"n": 1})
        assert only_the_canary(words)

    def test_the_dict_form_knows_its_words(self, words: VectorStore) -> None:
        for name in STRINGS:
            filters: list[dict[str, Any]] = [{name: "canary"}, {name: {"$eq": "canary"}}, {"$and": [{name: "canary"}]}]
            if name not in {"$eq", "$ne"}:
                filters += [{"word": {name: "canary"}}, {"word": {name: ["canary"]}}]
            for each in filters:
                with pytest.raises(InvalidFilter):
                    words.delete(where=each)
        assert only_the_canary(words)


def metadata_of(store: VectorStore, id_: str) -> list[tuple[str, Any]]:
    record = store.get([id_])[0]
    assert record is not None
    return list(record.metadata.items())
