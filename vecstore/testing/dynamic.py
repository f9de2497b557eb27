"""The option ``Schema(dynamic=True)``: off by default, kept, compared, and turned on and off by a rebuild."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .. import fields
from ..database import Database
from ..errors import InvalidFilter, SchemaMismatch, UnknownField
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..records import Record
from .place import Place, Places
from .undeclared_keys import DECLARED, ONES, SCHEMA, VALUES, VECTOR


class DynamicTests(Places):
    """``Schema(dynamic=True)`` is part of a store's schema, off by default, and a rebuild turns it on and off."""

    def test_without_it_a_key_is_no_field(self, db: Database) -> None:
        store = db.create("static", replace(SCHEMA, dynamic=False))
        assert not store.schema.dynamic
        store.insert([Record("a", VECTOR, metadata={"Page Number": 3, "id": "x", "author": {"name": "y"}})])
        for where in (F["Page Number"] == 3, F["id"] == "x", F.path("author", "name") == "y", {"$key": ["id", "x"]}):
            with pytest.raises(UnknownField) as refused:
                store.count(where)
            assert "declare()" in str(refused.value)
            assert "dynamic=True" in str(refused.value)
        with pytest.raises(UnknownField, match=r"F\.id"):
            store.count(F["id"] == "x")

    def test_it_is_kept_and_compared(self, place: Place) -> None:
        with place.connect() as db:
            db.create("kept", SCHEMA).insert([Record("a", VECTOR, metadata={"k": 1})])
            with pytest.raises(SchemaMismatch, match="dynamic is True, not False"):
                db.create("kept", replace(SCHEMA, dynamic=False), if_exists="open")
            assert db.create("kept", SCHEMA, if_exists="open").count(F["k"] == 1) == 1
            if not place.shared:
                return
        with place.connect() as later:
            assert later.open("kept").schema == SCHEMA
            assert later.open("kept").count(F["k"] == 1) == 1

    def test_a_rebuild_turns_it_on_and_off(self, db: Database) -> None:
        store = db.create("turned", replace(SCHEMA, dynamic=False))
        store.insert(Record(name, VECTOR, metadata={"k": value, "n": 1}) for name, value in VALUES.items())
        db.rebuild("turned", schema=SCHEMA)
        assert {record.id for record in store.scan(F["k"] == 1)} == ONES
        store.upsert([Record("late", VECTOR, metadata={"k": 1})])
        assert {record.id for record in store.scan(F["k"] == 1)} == {*ONES, "late"}
        declared = replace(SCHEMA, fields={**DECLARED, "n": fields.Int()})
        db.rebuild("turned", schema=declared)
        assert store.count((F["n"] == 1) & (F["k"] == 1)) == len(ONES)
        with pytest.raises(InvalidFilter):
            store.count(F["n"] == "1")
        db.rollback("turned")
        assert store.count(F["n"] == "1") == 0
        assert store.count(F["n"] == 1) == len(VALUES)
        db.rebuild("turned", schema=replace(SCHEMA, dynamic=False))
        with pytest.raises(UnknownField):
            store.count(F["k"] == 1)
        assert store.count(ALL) == len(VALUES) + 1
