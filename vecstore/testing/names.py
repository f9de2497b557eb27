"""Names of stores and fields: a small alphabet, checked before anything is touched, and every name in it is free."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .. import fields
from ..database import Database
from ..errors import InvalidArgument
from ..filters.field_ref import F
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from .corpus import STRINGS
from .place import Places

SCHEMA = Schema(dim=2, index=Flat())
VECTOR = [1.0, 0.0]
NAME = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)

# Names that mean something to some engine, or that a backend may use itself.
TELLING_NAMES = (
    "select", "from", "where", "order", "group", "table", "index", "primary", "null", "not", "or", "and", "in", "is",
    "values", "limit", "user", "key", "rowid", "oid", "ctid", "xmin", "row", "rows", "record", "records", "name",
    "names", "seq", "version", "generation", "segment", "place", "offset", "position", "extra", "extras", "metadata",
    "fields", "payload", "score", "distance", "rank", "embedding", "distances", "language", "as",
    "crc", "deleted", "k", "f_0", "v", "a" * 48,
)  # fmt: skip


class NameTests(Places):
    """What a store and a field may be called."""

    def test_store_names(self, db: Database) -> None:
        db.create("words", SCHEMA)
        calls: list[Callable[[str], object]] = [
            lambda name: db.create(name, SCHEMA),
            lambda name: db.create(name, SCHEMA, if_exists="open"),
            db.open,
            db.drop,
            lambda name: db.rename(name, "other"),
            lambda name: db.rename("words", name),
        ]
        for name in STRINGS:
            if not NAME.fullmatch(name):
                for call in calls:
                    with pytest.raises(InvalidArgument):
                        call(name)
        assert db.names() == ["words"]

    def test_an_error_shows_the_valid_spelling(self, db: Database) -> None:
        spellings = {
            "my-index": "my_index", "My Index": "my_index", "LangChain": "lang_chain", "docId": "doc_id",
            "Notes": "notes", "meta.author": "meta_author", "_type": "type", "Übersicht": "ubersicht",
            "2024": "store_2024", "x" * 60: "x" * 48,
            "a--b__c": "a_b_c", "_": None, "日本": None, "": None, "😀": None,
        }  # fmt: skip
        for name, spelled in spellings.items():
            for call in (lambda name: db.create(name, SCHEMA), db.open):
                with pytest.raises(InvalidArgument, match="1 to 48 characters") as caught:
                    call(name)
                assert str(caught.value).endswith(f" Write {spelled!r}." if spelled else "starts with a letter.")
            if spelled:
                assert NAME.fullmatch(spelled)
        with pytest.raises(InvalidArgument, match=r"Field 'Page Number': .* Write 'page_number'"):
            Schema(dim=2, fields={"Page Number": fields.Keyword()})
        for name in STRINGS:
            if not NAME.fullmatch(name):
                with pytest.raises(InvalidArgument) as caught:
                    db.open(name)
                shown = re.search(r" Write '(.*)'\.$", str(caught.value))
                assert shown is None or NAME.fullmatch(shown[1])

    def test_store_names_that_mean_something_elsewhere(self, db: Database) -> None:
        names = sorted({*TELLING_NAMES, *(value for value in STRINGS if NAME.fullmatch(value))})
        stores = {name: db.create(name, SCHEMA) for name in names}
        for name, store in stores.items():
            store.upsert([Record(name, VECTOR)])
        assert db.names() == names
        assert [[record.id for record in db.open(name).scan()] for name in names] == [[name] for name in names]

    def test_field_names(self) -> None:
        reserved = ["id", "text", "vector"]
        for name in [*reserved, *(value for value in STRINGS if not NAME.fullmatch(value))]:
            with pytest.raises(InvalidArgument):
                Schema(dim=2, fields={name: fields.Keyword()})

    def test_field_names_that_mean_something_elsewhere(self, db: Database) -> None:
        names = sorted({*TELLING_NAMES, *(value for value in STRINGS if NAME.fullmatch(value))})
        store = db.create("telling", Schema(dim=2, fields=dict.fromkeys(names, fields.Keyword())))
        store.upsert(Record(name, VECTOR, metadata={name: name}) for name in names)
        store.upsert([Record("every", VECTOR, metadata={name: f"{name}'s" for name in names})])
        assert store.get(["every"]) == [Record("every", VECTOR, metadata={name: f"{name}'s" for name in names})]
        for name in names:
            assert [record.id for record in store.scan(F[name] == name)] == [name]
            assert store.count(F[name].exists()) == 2
            assert [hit.id for hit in store.search(VECTOR, where=F[name] == f"{name}'s")] == ["every"]
