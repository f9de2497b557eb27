"""Filters on metadata that nobody declared: the corpus of strings as keys, as keys inside objects, and as values."""

from __future__ import annotations

import json

import pytest

from ..database import Database
from ..errors import InvalidFilter
from ..filters.dict_form import to_dict
from ..filters.field_ref import F
from ..records import Record
from .corpus import STRINGS, is_storable, list_accepted, list_decoys, list_refused
from .place import Places
from .undeclared_keys import DECLARED, KEY, SCHEMA, VECTOR


class UndeclaredStringTests(Places):
    """The corpus of strings as keys, as keys inside objects, and as values."""

    def test_every_string_as_a_key_and_a_value(self, db: Database) -> None:
        keys, decoys = list_accepted(*KEY), list_decoys(list_accepted(*KEY), *KEY)
        keys = [key for key in keys if key not in {*DECLARED, "in", "list", "same"}]
        store = db.create("strings", SCHEMA)
        store.insert(
            Record(f"{number}", VECTOR, metadata={key: key, "in": {key: number}, "list": [key], "same": key})
            for number, key in enumerate(keys)
        )
        store.insert(
            [Record("decoys", VECTOR, metadata={**dict.fromkeys(decoys, -1), "in": dict.fromkeys(decoys, -1)})]
        )
        missed = []
        for number, key in enumerate(keys):
            others = [F.path("in", key) == number, F["same"] == key, F["list"].contains(key), F.path("in", key) >= 0]
            for where in (F[key] == key, others[number % 4]):
                found = [record.id for record in store.scan(json.loads(json.dumps(to_dict(where))))]
                if found != [f"{number}"]:
                    missed.append((where, found))
        assert missed == []

    def test_strings_that_cannot_be_keys_or_values(self, db: Database) -> None:
        store = db.create("strings", SCHEMA)
        canary = Record("canary", VECTOR, metadata={"sings": True})
        store.insert([canary])
        for key in list_refused(*KEY):
            for where in (
                F[key].exists(),
                F[key] == 1,
                F[key] != 1,
                F.path("a", key) == 1,
                F.path(key, "a").is_missing(),
            ):
                for spelling in (where, to_dict(where)):
                    with pytest.raises(InvalidFilter):
                        store.delete(where=spelling)
        for value in STRINGS:
            where = F["sings"] == value
            if is_storable(value, 0, 1 << 20):
                assert store.delete(where=where) == 0
                assert store.count(~where) == 1
            else:
                with pytest.raises(InvalidFilter):
                    store.delete(where=where)
        assert list(store.scan()) == [canary]
