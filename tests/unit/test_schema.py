from __future__ import annotations

import copy
import dataclasses
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vecstore import HNSW, Flat, InvalidArgument, Metric, Schema, StoreCorrupt, Unsupported, fields
from vecstore.backend import CalibrationState, Generation, Remote
from vecstore.backends.shared.generation_json import dump_schema, load_generation
from vecstore.names import check_name

FULL = Schema(
    dim=3,
    metric="l2",
    dtype="float16",
    index=HNSW(m=8, ef_construction=50, target_recall=0.9),
    fields={
        "a": fields.Keyword(), "b": fields.Keywords(), "c": fields.Int(), "d": fields.Float(), "e": fields.Bool(),
        "f": fields.DateTime(),
    },
)  # fmt: skip


def test_defaults() -> None:
    schema = Schema(dim=3)
    assert (schema.metric, schema.dtype, schema.index, dict(schema.fields)) == (Metric.COSINE, "float32", HNSW(), {})


def test_a_schema_comes_back_from_json() -> None:
    for schema in (FULL, Schema(dim=1, index=Flat()), replace(FULL, dynamic=True)):
        assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_vectors_are_required_unless_the_schema_says_otherwise() -> None:
    optional = Schema(dim=3, vectors="optional")
    assert (Schema(dim=3).vectors, Schema(dim=3).has_optional_vectors) == ("required", False)
    assert (optional.vectors, optional.has_optional_vectors) == ("optional", True)
    assert Schema.from_dict(json.loads(json.dumps(optional.to_dict()))) == optional
    assert optional.differences(Schema(dim=3)) == ["vectors is optional, not required"]
    assert optional != Schema(dim=3)
    assert "vectors" not in Schema(dim=3).to_dict(), "what older versions read stays as it was"
    for wrong in ("none", None, True, "Optional"):
        with pytest.raises(InvalidArgument, match=r"required.*optional"):
            Schema(dim=3, vectors=wrong)  # type: ignore[arg-type]


def test_a_part_that_only_a_newer_version_knows_is_refused() -> None:
    described = {**Schema(dim=3).to_dict(), "unheard_of": 1}
    with pytest.raises(InvalidArgument, match=r"newer vecstore.*'unheard_of'"):
        Schema.from_dict(described)
    generation = Generation("0" * 32, Schema(dim=3), calibration=CalibrationState("probes", 0.9, None))
    text = dump_schema(generation)
    assert load_generation("0" * 32, text, None, None, standby=False, backend="redis") == generation
    with pytest.raises(Unsupported, match="newer vecstore"):
        load_generation("0" * 32, json.dumps(described), None, None, standby=False, backend="redis")


def test_where_the_records_are_is_stored_and_refused_by_older_versions() -> None:
    remote = Remote("postgres", "1" * 32, "docs", "2" * 32)
    text = dump_schema(Generation("0" * 32, Schema(dim=3), remote=remote))
    found = load_generation("0" * 32, text, None, None, standby=False, backend="redis")
    assert found.remote == remote
    assert "remote" not in dump_schema(Generation("0" * 32, Schema(dim=3))), "what older versions read stays as it was"
    with pytest.raises(InvalidArgument, match="newer vecstore"):
        Schema.from_dict(json.loads(text))  # which is how a version without the key reads it
    described = json.loads(text)
    stored = described["remote"]
    assert "arrived" not in stored
    for wrong in ({"kind": "fork"}, {"weight": "1"}, {"arrived": "perhaps"}):
        described["remote"] = {**stored, **wrong}
        with pytest.raises(Unsupported, match="newer vecstore"):
            load_generation("0" * 32, json.dumps(described), None, None, standby=False, backend="redis")
    damages: list[object] = [None, [], {**stored, "uid": 1}]
    for damaged in damages:
        described["remote"] = damaged
        with pytest.raises(StoreCorrupt):
            load_generation("0" * 32, json.dumps(described), None, None, standby=False, backend="redis")


def test_that_a_store_has_arrived_is_stored() -> None:
    remote = Remote("postgres", "1" * 32, "docs", "2" * 32, arrived=True)
    text = dump_schema(Generation("0" * 32, Schema(dim=3), remote=remote))
    assert load_generation("0" * 32, text, None, None, standby=False, backend="redis").remote == remote


def test_a_schema_is_frozen() -> None:
    given: dict[str, Any] = {"a": fields.Int()}
    schema = Schema(dim=3, fields=given)
    given["b"] = fields.Int()
    assert list(schema.fields) == ["a"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        schema.dim = 4  # type: ignore[misc]
    with pytest.raises(TypeError):
        schema.fields["b"] = fields.Int()  # type: ignore[index]
    assert hash(schema) == hash(Schema(dim=3, fields={"a": fields.Int()}))
    assert schema == Schema(dim=3, fields={"a": fields.Int()})
    assert schema != Schema(dim=3, fields={"a": fields.Float()})


def test_numpys_own_dtypes_are_kept_by_name() -> None:
    schema = Schema(dim=3, dtype=np.dtype("float16"))  # type: ignore[arg-type]
    assert type(schema.dtype) is str
    assert schema == Schema(dim=3, dtype="float16")


@pytest.mark.parametrize(
    "wrong",
    [
        {"dim": 0}, {"dim": 16_001}, {"dim": 3.0}, {"dim": True}, {"metric": "cos"}, {"metric": None},
        {"metric": ["l2"]}, {"dtype": "float64"}, {"dtype": "f4"}, {"dtype": None}, {"dtype": np.float32},
        {"index": "hnsw"}, {"index": HNSW}, {"fields": [fields.Int()]}, {"fields": {"a": fields.Int}},
        {"fields": {"a": "int"}}, {"fields": {"A": fields.Int()}},
        {"fields": {1: fields.Int()}}, {"fields": {"text": fields.Int()}}, {"fields": {"vector": fields.Int()}},
        {"dynamic": 1}, {"dynamic": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Schema(**{"dim": 3, **wrong})


@pytest.mark.parametrize(
    "change",
    [
        {"dim": "3"}, {"metric": "cos"}, {"dtype": "int8"}, {"index": None}, {"index": "flat"},
        {"index": {"kind": "ivf"}}, {"index": {"kind": "hnsw", "m": 1000}}, {"index": {"kind": "flat", "m": 8}},
        {"fields": {"A": "int"}},
        {"fields": {"a": "text"}}, {"fields": {"a": 1}}, {"fields": None}, {"fields": {"a": ["int"]}},
        {"dynamic": "yes"},
    ],
    ids=str,
)  # fmt: skip
def test_stored_schemas_are_checked_again(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Schema.from_dict({**FULL.to_dict(), **change})
    for key in FULL.to_dict():
        with pytest.raises(InvalidArgument):
            Schema.from_dict({name: value for name, value in FULL.to_dict().items() if name != key})


def test_differences_are_named() -> None:
    other = Schema(dim=4, metric="ip", fields={"a": fields.Int(), "z": fields.Bool()})
    assert Schema(dim=3, dtype="float16", fields={"a": fields.Keyword()}).differences(other) == [
        "dim is 3, not 4",
        "metric is cosine, not ip",
        "dtype is float16, not float32",
        "field a is keyword, not int",
        "field z is not declared, not bool",
    ]
    assert FULL.differences(FULL.with_index(Flat())) == []


def test_width_is_known_or_asked_for() -> None:
    assert Schema().with_dim(7).width == 7
    with pytest.raises(InvalidArgument, match="embedder"):
        Schema().width  # noqa: B018


def test_names() -> None:
    for name in ("a", "a1_", "a" * 48):
        assert check_name(name, "Field") == name
    for wrong in ("", "A", "1a", "_a", "a" * 49, "a\n", "é", "a-b", None, 1, b"a"):
        with pytest.raises(InvalidArgument, match=r"^Field .*a name has 1 to 48"):
            check_name(wrong, "Field")


def test_an_option_that_is_off_is_not_written() -> None:
    """The descriptions that were stored before there was the option stay as they are."""
    assert "dynamic" not in FULL.to_dict()
    dynamic = replace(FULL, dynamic=True)
    assert copy.deepcopy(dynamic) == dynamic != FULL
    assert dynamic.differences(FULL) == ["dynamic is True, not False"]
