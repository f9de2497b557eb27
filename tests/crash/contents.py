"""The expected and the actual contents of a database, as plain data that can be compared."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecstore import HNSW, Database, Flat, Hit, Record, Schema, VectorStore, fields

DIM = 16
_FIELDS = {"group": fields.Int(), "lang": fields.Keyword()}
_FLAT = {
    "plain": Schema(dim=DIM, metric="l2", index=Flat(), fields=_FIELDS),
    "half": Schema(dim=DIM, metric="l2", dtype="float16", index=Flat(), fields=_FIELDS),
    "tagged": Schema(dim=DIM, metric="ip", index=Flat(), fields={**_FIELDS, "tags": fields.Keywords()}),
}
_GRAPH = " graph"
SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {**_FLAT, **{f"{key}{_GRAPH}": each.with_index(HNSW(m=4, ef_construction=16)) for key, each in _FLAT.items()}}
)
"""A rebuild changes one into another, `VectorStore.reindex` one into its twin; the records do not change."""

GROUPS = 8
_EF = 64
_LANGS = ("de", "en", "fr")


class Stored(NamedTuple):
    """A record as a read must return it, with its vector as float32 bytes."""

    vector: bytes
    text: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Contents:
    """What one store holds.

    Attributes
    ----------
    schema : str
        A key of `SCHEMAS`.
    records : mapping of id to Stored
    previous : str or None
        The schema of the generation that `Database.rollback` would go back to.
    """

    schema: str
    records: Mapping[str, Stored] = field(default_factory=dict)
    previous: str | None = None


State = Mapping[str, Contents]
"""Contents by the name of the store."""


class Wrong(Exception):
    """The contents of a database are wrong."""


def get_twin(schema: str) -> str:
    """Return the schema with the other kind of index."""
    return schema.removesuffix(_GRAPH) if schema.endswith(_GRAPH) else schema + _GRAPH


def make_records(numbers: Iterable[int], stamp: int) -> dict[str, Stored]:
    """Return new records by id, each derived from its number and a stamp."""
    listed = list(numbers)
    # Eleven significant bits: the same value in float16 and float32, and no two records alike.
    draws = np.random.default_rng([stamp, len(listed)]).integers(-2047, 2048, (len(listed), DIM))
    vectors = (draws / 256).astype(np.float32)
    return {
        f"record-{number:05}": Stored(
            vector.tobytes(),
            None if (number + stamp) % 7 == 0 else f"text {stamp} of {number} " + "é" * (stamp % 40),
            {
                "group": (number + stamp) % GROUPS,
                "lang": _LANGS[stamp % 3],
                "tags": [f"t{number % 3}", f"t{stamp % 5}"],
                "note": {"stamp": stamp, "of": [number, None]},
            },
        )
        for number, vector in zip(listed, vectors, strict=True)
    }


def as_records(stored: Mapping[str, Stored]) -> list[Record]:
    return [Record(id_, decode_vector(each), each.text, each.metadata) for id_, each in stored.items()]


def decode_vector(stored: Stored) -> NDArray[np.float32]:
    return np.frombuffer(stored.vector, np.float32)


def read_state(db: Database) -> State:
    """Read everything.

    Raises
    ------
    Wrong
        Two ways of reading disagree.
    """
    return {name: _read_contents(db, name) for name in db.names()}


def _read_contents(db: Database, name: str) -> Contents:
    store = db.open(name)
    entry = db._backend.find(name=name)
    dtype = np.dtype(entry.active.schema.dtype)
    found: dict[str, Stored] = {}
    last = ""
    for record in store.scan():
        vector = np.asarray(record.vector)
        if vector.dtype != dtype or record.id <= last:
            raise Wrong(f"{name}: {record.id} has a vector of {vector.dtype}, or follows {last}")
        last = record.id
        found[record.id] = Stored(vector.astype(np.float32).tobytes(), record.text, dict(record.metadata))
    if store.count() != len(found):
        raise Wrong(f"{name}: count() is {store.count()}, scan() gave {len(found)} records")
    previous = entry.previous and _find_key(entry.previous.schema)
    return Contents(_find_key(entry.active.schema), found, previous or None)


def _find_key(schema: Schema) -> str:
    for key, known in SCHEMAS.items():
        if known == schema:
            return key
    raise Wrong(f"unknown schema {schema}")


def check_searches(db: Database, state: State, draw: random.Random) -> int:
    """Compare searches, some of them exact, some filtered, with plain arithmetic over what is stored.

    Returns
    -------
    int
        How many of them searched a graph.

    Raises
    ------
    Wrong
    """
    graph_searches = 0
    for name, contents in state.items():
        store = db.open(name)
        group = draw.randrange(GROUPS)
        some = {id_: each for id_, each in contents.records.items() if each.metadata["group"] == group}
        query = np.array([draw.randint(-500, 500) / 64 for _ in range(DIM)], np.float32)
        for where, records in ((None, contents.records), ({"group": group}, some)):
            for exact in (True, False):
                graph_searches += _check_search(store, contents.schema, records, query, where, exact=exact)
            if store.count(where) != len(records):
                raise Wrong(f"{name}: count({where}) is {store.count(where)}, {len(records)} match")
    return graph_searches


def _check_search(
    store: VectorStore,
    schema: str,
    records: Mapping[str, Stored],
    query: NDArray[np.float32],
    where: Mapping[str, Any] | None,
    *,
    exact: bool,
) -> bool:
    """Check one search; return whether it searched a graph."""
    truth = {id_: _score(schema, decode_vector(each), query) for id_, each in records.items()}
    hits = store.search(query, k=10, where=where, exact=exact, ef=None if exact else _EF)
    best = sorted(truth.values(), reverse=True)[:10]
    scores = [hit.score for hit in hits]
    # A graph search may find other rows, but not fewer.
    expected = best if hits.exact else sorted((truth.get(hit.id, np.inf) for hit in hits), reverse=True)
    near = len(scores) == len(best) and np.allclose(scores, expected, rtol=1e-5, atol=1e-4)
    if not near or len({hit.id for hit in hits}) < len(hits) or any(_is_different(truth, hit) for hit in hits):
        raise Wrong(f"{store.name}: a search where {where} found {hits}, the best scores are {best}")
    return not hits.exact


def _is_different(truth: Mapping[str, float], hit: Hit) -> bool:
    return abs(truth.get(hit.id, np.inf) - hit.score) > 1e-3


def _score(schema: str, vector: NDArray[np.float32], query: NDArray[np.float32]) -> float:
    a, b = vector.astype(np.float64), query.astype(np.float64)
    return float(a @ b) if SCHEMAS[schema].metric == "ip" else -float(np.sqrt(((a - b) ** 2).sum()))


def check_bytes(db: Database) -> None:
    """Verify every store.

    Raises
    ------
    Wrong
    """
    for name in db.names():
        found = db.open(name).verify()
        if not found.ok:
            raise Wrong(f"{name}: verify() found {list(found.problems)}")


def describe_difference(expected: State, found: State) -> str:
    """Say in one line how two states differ."""
    if expected.keys() != found.keys():
        return f"stores {sorted(found)} instead of {sorted(expected)}"
    for name, want in expected.items():
        have = found[name]
        missing = sorted(want.records.keys() - have.records.keys())
        more = sorted(have.records.keys() - want.records.keys())
        other = sorted(id_ for id_ in want.records.keys() & have.records if want.records[id_] != have.records[id_])
        if missing or more or other:
            return f"{name}: missing {_show_few(missing)}, too many {_show_few(more)}, changed {_show_few(other)}"
        if want != have:
            return f"{name}: {have.schema} with {have.previous} behind, not {want.schema} with {want.previous}"
    return "nothing"


def _show_few(ids: list[str]) -> str:
    return f"{len(ids)} {ids[:3]}"
