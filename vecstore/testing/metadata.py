"""Metadata: declared fields are typed, every other key comes back as the JSON value that it was."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from .. import fields
from ..database import Database
from ..errors import InvalidFilter, InvalidMetadata, UnknownField
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places


class Autumn(tzinfo):
    """A zone in the hour that comes twice: summer time first, then winter time."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=1 if when and when.fold else 2)

    def dst(self, when: datetime | None) -> timedelta:
        return timedelta(hours=0 if when and when.fold else 1)

    def tzname(self, when: datetime | None) -> str:
        return "winter" if when and when.fold else "summer"


VECTOR = [1.0, 2.0]
EDGE = 2**53
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEST = timezone(timedelta(hours=-9, minutes=-30))
SECONDS = timezone(timedelta(hours=5, minutes=40, seconds=17))
SCHEMA = Schema(
    dim=2,
    index=Flat(),
    fields={
        "lang": fields.Keyword(),
        "tags": fields.Keywords(),
        "year": fields.Int(),
        "price": fields.Float(),
        "draft": fields.Bool(),
        "at": fields.DateTime(),
    },
)


class Colour(str, Enum):  # noqa: UP042 - on purpose
    """Strings of which ``str()`` makes other strings."""

    RED = "red"


class Level(IntEnum):
    """Ints with a name."""

    HIGH = 3


# Undeclared values that come back with the same type, digits and order.
KEPT: dict[str, Any] = {
    "ints": [0, -1, 2**31, 2**53 + 1, -(2**63) - 1, 2**64, 10**30, -(10**300), 10**4000],
    "floats": [0.1, -0.0, 1.0, 1e308, 5e-324, 2.0**53, 1e16, 123456789.123456789, 1 / 3, 1e-7],
    "bools": [True, False],
    "int, float and bool are three": [1, 1.0, True, 0, 0.0, False, "1", "true", "", None],
    "nested None": {"a": None, "b": [None, {"c": None}]},
    "empty": [[], {}, "", [[]], {"": {}}],
    "key order": {"z": 1, "a": 2, "m": {"y": 3, "b": 4}, "0": 5, "A": 6},
    "unicode": {"é": "e\u0301", "日本": ["\U0001f600", "\u2028", "\ufeff"], "\t\n\x01": "\x7f"},
    "quotes": {"'\"\\": '\\"\'', "a.b": {"$set": {"c": "$1"}}, "//": "/*"},
    "deep": {"a": [[[{"b": [[{"c": [1, [2, [3]]]}]]}]]]},
    "like a date": "2024-01-01T00:00:00+00:00",
    "like json": '{"a": [1, 2.0, null]}',
    "long": "x" * 500_000,
    "many": {f"key {number}": number for number in range(5_000)},
    "id": "another", "text": 1, "vector": [1, 2], "score": 0.5, "distance": None, "version": 7, "None": "None",
}  # fmt: skip

# Declared values: what is given, and what comes back.
DECLARED: list[tuple[str, Any, Any]] = [
    ("lang", "", ""),
    ("lang", "x" * 1024, "x" * 1024),
    ("lang", Colour.RED, "red"),
    ("lang", np.str_("en"), "en"),
    ("tags", [], []),
    ("tags", ["b", "a", "b", ""], ["b", "a", "b", ""]),
    ("tags", ("b", np.str_("a")), ["b", "a"]),
    ("tags", ["x"] * 1000, ["x"] * 1000),
    ("tags", [f"{number}" for number in range(1000)], [f"{number}" for number in range(1000)]),
    ("year", 0, 0),
    ("year", EDGE, EDGE),
    ("year", -EDGE, -EDGE),
    ("year", EDGE - 1, EDGE - 1),
    ("year", np.int64(-7), -7),
    ("year", np.uint8(200), 200),
    ("year", Level.HIGH, 3),
    ("price", 0.1, 0.1),
    ("price", 3, 3.0),
    ("price", 1.7976931348623157e308, 1.7976931348623157e308),
    ("price", 5e-324, 5e-324),
    ("price", -1e-300, -1e-300),
    ("price", np.float32(0.1), 0.10000000149011612),
    ("price", np.float16(0.1), 0.0999755859375),
    ("price", np.int32(-4), -4.0),
    ("draft", True, True),
    ("draft", False, False),
    ("draft", np.True_, True),
    ("at", EPOCH, EPOCH),
    ("at", datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC), datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC)),
    ("at", datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)),
    ("at", datetime(2024, 3, 31, 2, 30, 0, 1, WEST), datetime(2024, 3, 31, 12, 0, 0, 1, UTC)),
    ("at", datetime(2024, 1, 1, tzinfo=SECONDS), datetime(2023, 12, 31, 18, 19, 43, tzinfo=UTC)),
    ("at", datetime(2024, 10, 27, 2, 30, fold=0, tzinfo=Autumn()), datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
    ("at", datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=Autumn()), datetime(2024, 10, 27, 1, 30, tzinfo=UTC)),
    ("at", EPOCH + timedelta(microseconds=EDGE), EPOCH + timedelta(microseconds=EDGE)),
    ("at", EPOCH - timedelta(microseconds=EDGE), EPOCH - timedelta(microseconds=EDGE)),
]  # fmt: skip

NOT_KEPT: dict[str, list[Any]] = {
    "lang": [
        1, 1.5, True, b"en", ["en"], {"a": 1}, "x" * 1025, np.bytes_(b"en"), np.int64(3), date(2024, 1, 1), object(),
    ],
    "tags": [
        "en", b"en", {"en"}, {"en": 1}, [1], ["a", None], [["a"]], ["x" * 1025], ["x"] * 1001, 1, iter(["a"]),
    ],
    "year": [
        "1", 1.0, 1.5, True, False, [1], EDGE + 1, -EDGE - 1, 10**30, np.float64(2), np.True_, Decimal(1),
        np.timedelta64(5, "ns"), np.datetime64("2024-01-01", "ns"), np.uint64(2**63),
    ],
    "price": [
        "1.0", True, float("nan"), float("inf"), -float("inf"), 10**400, [1.0], 1j, Decimal("0.1"), np.float32("nan"),
        np.True_, np.complex64(1), np.timedelta64(5, "ns"),
    ],
    "draft": [0, 1, "true", "", [], 1.0, np.int8(1)],
    "at": [
        0, 1.5, "2024-01-01T00:00:00+00:00", datetime(2024, 1, 1), date(2024, 1, 1), True,
        np.datetime64("2024-01-01", "us"), EPOCH + timedelta(microseconds=EDGE + 1),
        EPOCH - timedelta(microseconds=EDGE + 1), datetime.min.replace(tzinfo=SECONDS),
        datetime.max.replace(tzinfo=WEST),
    ],
    "other": [
        float("nan"), float("inf"), b"x", {1, 2}, object(), 1j, Decimal(1), date(2024, 1, 1), EPOCH, iter([1]),
        range(3), {1: "a"}, {None: "a"}, {b"a": 1}, [{"a": [{"b": float("nan")}]}], np.float64("nan"),
        np.array([1.0, 2.0]), np.datetime64("2024-01-01", "ns"), np.timedelta64(5, "ns"), np.complex128(1),
        10**5000, Schema, VECTOR.append,
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Odd:
    """A value that no JSON has."""

    value: int = 1


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def metadata_of(store: VectorStore, id_: str) -> dict[str, Any]:
    record = store.get([id_])[0]
    assert record is not None
    return dict(record.metadata)


class MetadataTests(Places):
    """Metadata as it is written, read, changed and removed."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        return db.create("things", SCHEMA)

    def test_undeclared_values_come_back_unchanged(self, store: VectorStore) -> None:
        store.insert(Record(name, VECTOR, metadata={"value": value}) for name, value in KEPT.items())
        store.insert([Record("all of them", VECTOR, metadata=KEPT)])
        # repr() tells 1, 1.0 and True apart, and the order of keys.
        for name, value in KEPT.items():
            expected = {} if value is None else {"value": value}
            assert repr(metadata_of(store, name)) == repr(expected)
        present = {name: value for name, value in KEPT.items() if value is not None}
        assert repr(metadata_of(store, "all of them")) == repr(present)
        assert repr(dict(store.search(VECTOR, 1, where=F.id == "all of them")[0].metadata or {})) == repr(present)
        assert [repr(record.metadata) for record in store.scan(F.id == "all of them")] == [repr(present)]

    def test_undeclared_values_become_plain_python(self, store: VectorStore) -> None:
        given = {
            "numpy": [np.int64(1), np.float32(0.5), np.True_, np.str_("a"), {"b": np.uint8(2)}],
            "subclasses": [Colour.RED, Level.HIGH, OrderedDict(a=1), MappingProxyType({"b": (1, 2)})],
            Colour.RED: 1,
        }
        store.insert([Record("a", VECTOR, metadata=given)])
        expected = {"numpy": [1, 0.5, True, "a", {"b": 2}], "subclasses": ["red", 3, {"a": 1}, {"b": [1, 2]}], "red": 1}
        assert repr(metadata_of(store, "a")) == repr(expected)

    def test_declared_values_come_back_typed(self, store: VectorStore) -> None:
        store.insert(
            Record(f"{number}", VECTOR, metadata={name: value}) for number, (name, value, _) in enumerate(DECLARED)
        )
        for number, (name, _, back) in enumerate(DECLARED):
            read = metadata_of(store, f"{number}")
            assert read == {name: back}
            assert repr(read[name]) == repr(back)

    def test_declared_values_are_the_same_everywhere(self, store: VectorStore) -> None:
        every = {name: back for name, _, back in DECLARED}
        store.insert([Record("a", VECTOR, metadata={name: value for name, value, _ in DECLARED}), Record("b", VECTOR)])
        assert metadata_of(store, "a") == every
        assert [record.metadata for record in store.scan()] == [every, {}]
        assert [hit.metadata for hit in store.search(VECTOR)] == [every, {}]

    def test_dates_come_back_in_utc(self, store: VectorStore) -> None:
        store.insert([Record("a", VECTOR, metadata={"at": datetime(2024, 1, 1, tzinfo=WEST)})])
        assert metadata_of(store, "a")["at"].tzinfo is UTC

    def test_what_cannot_be_kept_is_refused(self, store: VectorStore) -> None:
        good = Record("good", VECTOR, "text", {"lang": "en", "year": 1})
        store.insert([good])
        too_much = [Odd(), nested(65), {"a": nested(64)}, "x" * (1 << 20), ["é" * 300_000] * 2]
        for name, values in [*NOT_KEPT.items(), ("other", too_much)]:
            for value in values:
                for write in (store.upsert, store.insert):
                    with pytest.raises(InvalidMetadata, match="'bad'") as caught:
                        write([Record("new", VECTOR), Record("bad", VECTOR, metadata={"lang": "en", name: value})])
                    assert f"'{name}'" in str(caught.value) or value in too_much[3:] or value == 10**5000
                with pytest.raises(InvalidMetadata):
                    store.update(where=ALL, metadata={"year": 2, name: value})
        for metadata in ([("a", 1)], "a", 3, None, {1: 2}, {None: 1}, {b"lang": "en"}, {("a",): 1}):
            with pytest.raises(InvalidMetadata, match="'bad'"):
                store.upsert([Record("new", VECTOR), Record("bad", VECTOR, metadata=metadata)])  # type: ignore[arg-type]
        for text in (b"bytes", 3, ["a"], object()):
            with pytest.raises(InvalidMetadata, match="'bad'"):
                store.upsert([Record("new", VECTOR), Record("bad", VECTOR, text)])  # type: ignore[arg-type]
        assert list(store.scan()) == [good]

    def test_the_largest_that_is_kept(self, store: VectorStore) -> None:
        room = (1 << 20) - len('{"a":""}')
        largest: list[Mapping[str, Any]] = [{"a": "x" * room}, {"a": "é" * (room // 2)}, {"a": nested(64)}]
        store.insert(Record(f"{number}", VECTOR, metadata=each) for number, each in enumerate(largest))
        assert [metadata_of(store, f"{number}") for number in range(len(largest))] == largest

    def test_none_means_missing(self, store: VectorStore) -> None:
        store.insert([Record("a", VECTOR, None, {**dict.fromkeys(SCHEMA.fields), "other": None, "kept": {"in": None}})])
        assert metadata_of(store, "a") == {"kept": {"in": None}}
        assert store.count(F.lang.is_missing() & F.tags.is_missing() & F.at.is_missing()) == 1

    def test_none_removes_a_key(self, store: VectorStore) -> None:
        every = {name: value for name, _, value in DECLARED}
        store.insert([Record("a", VECTOR, "text", {**every, "other": [1], "kept": 1}), Record("b", VECTOR)])
        assert store.update(ids=["a"], metadata={"lang": None, "tags": None, "other": None, "nowhere": None}) == 1
        left = {name: value for name, value in every.items() if name not in {"lang", "tags"}}
        assert metadata_of(store, "a") == {**left, "kept": 1}
        assert store.count(F.lang.exists() | F.tags.exists()) == 0
        assert store.update(where=ALL, text=None, unset=["year", "price", "draft", "at", "kept", "nowhere"]) == 2
        assert list(store.scan()) == [Record("a", VECTOR), Record("b", VECTOR)]

    def test_upsert_replaces_everything(self, store: VectorStore) -> None:
        every = {name: value for name, _, value in DECLARED}
        store.upsert([Record("a", VECTOR, "text", {**every, "other": 1})])
        store.upsert([Record("a", [5.0, 6.0], metadata={"lang": "en"})])
        assert list(store.scan()) == [Record("a", np.array([5.0, 6.0]), None, {"lang": "en"})]
        assert store.count(F.year.exists()) == 0

    def test_an_empty_value_is_a_value(self, store: VectorStore) -> None:
        store.insert([Record("a", VECTOR, "", {"lang": "", "tags": [], "other": ""}), Record("b", VECTOR)])
        assert store.get(["a", "b"]) == [
            Record("a", VECTOR, "", {"lang": "", "tags": [], "other": ""}), Record("b", VECTOR)
        ]  # fmt: skip
        assert [record.id for record in store.scan(F.lang.exists() & F.tags.exists())] == ["a"]
        assert [record.id for record in store.scan(F.lang == "")] == ["a"]

    def test_undeclared_keys_cannot_be_filtered_on(self, store: VectorStore) -> None:
        store.insert([Record("a", VECTOR, metadata={"langs": "en", "anything": 1})])
        with pytest.raises(UnknownField, match="Did you mean 'lang'"):
            store.count(F.langs == "en")
        with pytest.raises(UnknownField, match="'anything'"):
            store.search(VECTOR, where={"anything": 1})

    def test_a_failed_filter_value_is_no_metadata_error(self, store: VectorStore) -> None:
        with pytest.raises(InvalidFilter):
            store.update(where=F.year == "x", metadata={"year": 1})
