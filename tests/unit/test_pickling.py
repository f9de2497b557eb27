"""What users hand to worker processes and keep in settings: it pickles, copies, compares and hashes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import ALL, HNSW, F, Flat, Metric, Record, Schema, UpkeepWarning, connect, errors, fields
from vecstore.embedders import Identity
from vecstore.filters.field_ref import FieldRef
from vecstore.index_options import from_dict, to_dict
from vecstore.testing.toy_embedder import ToyEmbedder

FIELDS = {
    "lang": fields.Keyword(), "tags": fields.Keywords(), "year": fields.Int(), "price": fields.Float(),
    "new": fields.Bool(), "at": fields.DateTime(),
}  # fmt: skip


def repickle(value: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    """Return a value after pickling; users do this, vecstore never does."""
    return pickle.loads(pickle.dumps(value, protocol))  # noqa: S301 - written a moment ago


WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": repickle,
    "pickle 2": partial(repickle, protocol=2),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy in settings": lambda value: copy.deepcopy({"a": [value]})["a"][0],
}  # fmt: skip


def frozen() -> Iterator[Any]:
    """Yield what is frozen and hashable."""
    yield from (Flat(), HNSW(), HNSW(m=8, ef_construction=50, target_recall=0.9), *Metric, *FIELDS.values())
    for index in (Flat(), HNSW(4)):
        yield from (Schema(index=index), Schema(3, "l2", "float16", index, FIELDS))
    yield from (ALL, F.lang == "en", (F.year >= 2020) & ~F.tags.contains("x") | F.id.in_(["a"]), F.at.is_missing())
    yield from (F.at < datetime(2024, 1, 1, tzinfo=UTC), F.price.between(1, 2.5))
    yield ToyEmbedder().identity
    with connect("memory:") as db:
        store = db.create("docs", Schema(2, fields=FIELDS))
        store.upsert([Record("a", [1, 2], "text", {"lang": "en", "deep": {"x": [1, None]}}), Record("b", [0, 1])])
        hits = store.search([1, 1], include=["text", "metadata", "vector"])
        yield from (hits, hits[0], store.search([1, 1], include=[]), store.search([1, 1], 0))
        yield from (db.capabilities, store.index_status(), store.verify(), store.measure_recall(2, 1))
        yield db.rebuild("docs", schema=Schema(2, fields={"lang": fields.Keyword()}))


def mutable() -> Iterator[Any]:
    """Yield what compares but has no hash."""
    yield from (Record("a"), Record("a", [1, 2], "text", {"x": [1]}), Record("a", np.ones(3, np.float32)))
    with connect("memory:") as db:
        yield db.create("docs", Schema(2)).stats()


@pytest.mark.parametrize("value", list(frozen()), ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("way", WAYS)
def test_a_frozen_value_is_the_same_after_a_copy(value: Any, way: str) -> None:
    twin = WAYS[way](value)
    assert type(twin) is type(value)
    assert twin == value
    assert hash(twin) == hash(value)
    assert repr(twin) == repr(value)
    assert {twin, value} == {value}


@pytest.mark.parametrize("value", list(mutable()), ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("way", WAYS)
def test_a_record_is_the_same_after_a_copy(value: Any, way: str) -> None:
    assert WAYS[way](value) == value


@pytest.mark.parametrize("way", WAYS)
def test_a_copied_schema_is_checked_and_read_only(way: str) -> None:
    schema = Schema(3, "ip", fields=FIELDS)
    twin = WAYS[way](schema)
    assert (twin.metric, dict(twin.fields)) == (Metric.IP, FIELDS)
    with pytest.raises(TypeError):
        twin.fields["more"] = fields.Int()
    with connect("memory:") as db:
        assert db.create("docs", twin).schema == schema
        assert WAYS[way](db.open("docs").schema) == schema


@pytest.mark.parametrize("way", WAYS)
def test_there_is_one_of_the_fields_object(way: str) -> None:
    assert WAYS[way](F) is F
    twin = WAYS[way](F.lang)
    assert isinstance(twin, FieldRef)
    assert (twin == "en") == (F.lang == "en")


def test_values_that_differ_are_not_equal() -> None:
    values = list(frozen())
    kinds = {type(value) for value in values}
    for kind in kinds:
        same = [value for value in values if type(value) is kind]
        assert all(first != second for number, first in enumerate(same) for second in same[:number]), kind
    with connect("memory:") as db:
        store = db.create("docs", Schema(2))
        store.upsert([Record("a", [1, 2], "text"), Record("b", [0, 1])])
        full, bare = store.search([1, 1], include=["vector"]), store.search([1, 1], include=[])
        assert full != bare
        assert full[0] != bare[0]
        assert full[0] != full[0].id
        assert full == store.search([1, 1], include=["vector"])


def test_numpy_integers_become_plain_ones() -> None:
    schema = Schema(np.int64(3), index=HNSW(np.int32(8), np.int16(50)))  # type: ignore[arg-type]
    assert schema == Schema(3, index=HNSW(8, 50))
    assert Schema.from_dict(schema.to_dict()) == schema
    assert from_dict(to_dict(schema.index)) == schema.index
    assert type(schema.dim) is int


def test_identities_compare_by_what_they_hold() -> None:
    one, other = ToyEmbedder().identity, ToyEmbedder(seed=9).identity
    assert one == Identity.from_json(one.to_json())
    assert one != other
    assert one != "toy"


def raised() -> list[vecstore.VecstoreError]:
    """Return one error of every class."""
    special: dict[str, tuple[Any, ...]] = {
        "MissingExtra": ("redis", "redis"), "Unsupported": ("a graph", "memory", "Use Flat()."),
        "StoreMoved": ("docs", "elsewhere", "1"), "StoreNotFound": ("docs", ["dosc"]), "RecordExists": (["a", "b"],),
        "MetadataMismatch": ("docs", ["a", "b"], "It must be a str."),
        "PartialWrite": (5, errors.StoreLocked("busy.")), "ForkedStore": (),
    }  # fmt: skip
    return [getattr(errors, name)(*special.get(name, (f"{name} 4.",))) for name in errors.__all__]


@pytest.mark.parametrize("error", raised(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("way", WAYS)
def test_an_error_is_the_same_after_a_copy(error: vecstore.VecstoreError, way: str) -> None:
    error.add_note("from a worker")
    twin = WAYS[way](error)
    assert type(twin) is type(error)
    assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))
    assert twin.retryable == error.retryable
    assert twin.__notes__ == error.__notes__


def fail(number: int, schema: Schema) -> None:
    """Raise an error in a worker process."""
    assert schema.fields
    raise raised()[number]


def test_errors_and_schemas_go_through_a_pool_of_processes() -> None:
    with get_context("spawn").Pool(1) as pool:
        for number, error in enumerate(raised()):
            with pytest.raises(type(error)) as caught:
                pool.apply(fail, (number, Schema(3, fields=FIELDS)))
            assert str(caught.value) == str(error)


def test_warnings_pickle() -> None:
    warning = UpkeepWarning("slow")
    assert repickle(warning).args == warning.args


@pytest.mark.parametrize("repeat", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_belongs_to_a_process_says_how_to_open_it_in_another(repeat: Callable[[Any], Any], tmp_path: Path) -> None:
    for url in ("memory:", f"file:{tmp_path}"):
        with connect(url) as db:
            for value in (db, db.create("docs", Schema(dim=2))):
                with pytest.raises(vecstore.Unsupported, match=r"call vecstore\.connect\(\) there"):
                    repeat(value)
