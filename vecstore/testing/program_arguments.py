"""What the calls of random programs are made with: schemas, records, filters."""

from __future__ import annotations

from hypothesis import strategies as st

from .. import fields
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..index_options import HNSW, Flat, IndexOptions
from ..metric import Metric
from ..records import Record
from ..schema import VECTORS, Schema

DIM = 3
FIELDS: dict[str, fields.Field] = {
    "lang": fields.Keyword(),
    "n": fields.Int(),
    "price": fields.Float(),
    "tags": fields.Keywords(),
    "ok": fields.Bool(),
}
FEWER = {name: FIELDS[name] for name in ("lang", "n")}
SHAPES: list[tuple[str, IndexOptions, dict[str, fields.Field]]] = [
    ("float32", HNSW(), FIELDS),
    ("float32", Flat(), FEWER),
    ("float16", Flat(), FIELDS),
]
SCHEMAS = [
    Schema(DIM, metric, dtype, index, declared, vectors)
    for vectors in VECTORS
    for metric in Metric
    for dtype, index, declared in SHAPES
]
SCHEMAS += [Schema(DIM, metric, index=Flat(), fields=FEWER, dynamic=True) for metric in Metric]
INDEXES: list[IndexOptions | None] = [None, Flat(), HNSW(m=4, ef_construction=16)]

ids = st.sampled_from([*(f"id{number}" for number in range(60)), "é", "e\u0301", "ID1", " id1", "😀", "\uffff"])
vectors = st.lists(st.integers(-3, 3).map(float), min_size=DIM, max_size=DIM)
texts = st.none() | st.sampled_from(["", "a text", "noch einer", "😀"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=4,
)
values = {
    "lang": st.none() | st.sampled_from(["en", "de", "", "É"]),
    "n": st.none() | st.integers(-2, 2) | st.sampled_from([2**53, -(2**53)]),
    "price": st.none() | st.sampled_from([0.0, -1.5, 2.0, 1e300]),
    "tags": st.none() | st.lists(st.sampled_from(["a", "b", "a b"]), max_size=3),
    "ok": st.none() | st.booleans(),
    "note": json_values,
}
metadata = st.fixed_dictionaries({}, optional=values)
records = st.builds(Record, ids, st.one_of(vectors, vectors, st.none()), texts, metadata)
batches = st.lists(records, max_size=25, unique_by=lambda record: record.id)
id_lists = st.lists(ids, max_size=6)
conditions = st.recursive(
    st.one_of(
        st.sampled_from(["en", "de", ""]).map(lambda value: F.lang == value),
        st.lists(st.sampled_from(["en", "É", "x"]), max_size=2).map(lambda each: F.lang.in_(each)),
        st.integers(-2, 2).map(lambda value: F.n < value),
        st.integers(-2, 2).map(lambda value: F.n != value),
        st.sampled_from(["a", "b"]).map(lambda value: F.tags.contains(value)),
        st.booleans().map(lambda value: F.ok == value),
        st.sampled_from([-1.5, 1.0]).map(lambda value: F.price.between(value, 2)),
        st.sampled_from(list(FIELDS)).map(lambda name: F[name].exists()),
        id_lists.map(lambda each: F.id.in_(each)),
        st.sampled_from([True, 0, 1.5, "", []]).map(lambda value: F["note"] == value),
        st.integers(-2, 2).map(lambda value: F.path("note", "x") < value),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: two[0] & two[1]),
        st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
        inner.map(lambda one: ~one),
    ),
    max_leaves=4,
)
wheres = st.none() | conditions
selections = id_lists.map(lambda each: {"ids": each}) | (st.just(ALL) | conditions).map(lambda each: {"where": each})
