"""What is sent to the server: queries of a fixed grammar, scripts that never change, keys of one namespace."""

from __future__ import annotations

import re

import pytest
import redis

from servers.redis.own_server import OwnServer
from vecstore import HNSW, F, Record, Schema, VecstoreError, VectorStore, fields
from vecstore.testing.corpus import STRINGS, list_accepted

from .command_log import record_commands
from .stores import NAMESPACE, open_database

NEIGHBOUR = f"{NAMESPACE}x"
"""A namespace that begins with the name of the other."""
SCHEMA = Schema(
    dim=2,
    metric="l2",
    index=HNSW(),
    fields={"word": fields.Keyword(), "tags": fields.Keywords(), "n": fields.Int(), "x": fields.Float()},
)
LOWEST = 350
VECTOR = [1.0, 0.0]
_MARK = "zq7"
"""Marks both ends of each string, because the backend's own words do not contain it."""

_NUMBER = r"(?:-?\d+(?:\.\d+)?(?:e[+-]\d+)?|[+-]inf)"
_TOKEN = r"(?:a|none|f\d+|p[a-z0-9]{1,200}|h(?:[0-9a-f]{2})*)"  # noqa: S105
_TAGS = rf"@(?:has|id|f_word|f_tags):\{{{_TOKEN}(?:\|{_TOKEN})*\}}"
_RANGE = rf"@f_[nx]:\[\(?{_NUMBER} \(?{_NUMBER}\]"
_ONE = rf"-?(?:{_TAGS}|{_RANGE}|\({_RANGE}(?:\|{_RANGE})*\))"
_ALL = rf"\({_ONE}(?: {_ONE})*\)"
_WHERE = rf"(?:{_TAGS}|{_ALL}(?:\|{_ALL})*)"
_HOW = r"(?: HYBRID_POLICY ADHOC_BF| EF_RUNTIME \d+)?"
QUERY = re.compile(rf"\*|{_WHERE}|\((?:\*|{_WHERE})\)=>\[KNN \d+ @vector \$q{_HOW} AS d\]")
"""The grammar of all compiled queries."""


def mark(value: str) -> str:
    return f"{_MARK}{value}{_MARK}"


def exercise(store: VectorStore, value: str) -> None:
    """Use a string in every argument that accepts it."""
    id_ = mark(value)
    store.upsert([Record(id_, VECTOR, value, {"word": value, "tags": [value, id_], "more": {value: value}, "n": 1})])
    where = (
        (F.word == value) & F.word.in_([value, id_]) & (F.id == id_) & ~F.word.not_in([id_, value])
        & F.word.contains_text(value) & ~F.word.starts_with(id_)
        & F.tags.contains_all([value, id_]) & F.tags.contains_any([value]) & ~(F.tags.contains(f"{id_}."))
    )  # fmt: skip
    assert store.search(VECTOR, k=1, where=where)[0].id == id_
    assert store.search(VECTOR, k=1, where=(F.x > 0.5) | (F.word == value), exact=True)[0].id == id_
    assert [record.id for record in store.scan((F.word == value) & (F.n >= -3))] == [id_]
    change = {"word": id_, f"key {value}": value}
    assert store.update(where=F.word == value, metadata=change, text=id_, vector=VECTOR) == 1
    assert store.delete(ids=[id_]) == 1


def dump_foreign_keys(client: redis.Redis) -> dict[bytes, bytes | None]:
    """Return all keys outside the namespace and their values."""
    keys = [key for key in client.scan_iter(count=1_000) if not key.startswith(f"{NAMESPACE}:".encode())]
    return {key: client.dump(key) for key in keys}


def write_canaries(server: OwnServer, client: redis.Redis) -> None:
    with open_database(server.url, namespace=NEIGHBOUR) as database:
        database.create("a", SCHEMA).insert(Record(f"{number}", VECTOR, "canary") for number in range(5))
    for key in ("canary", "vecstore:canary", "doc:1", f"{NAMESPACE}", "*"):
        client.set(key, "canary")


def test_no_value_becomes_part_of_a_query_a_script_or_a_key(own_server: OwnServer) -> None:
    strings = list_accepted(1, 500)
    assert len(strings) > LOWEST
    with own_server.connect() as client:
        write_canaries(own_server, client)
        before = dump_foreign_keys(client)
        assert len(before) > 10
        with record_commands(own_server) as log, open_database(own_server.url) as database:
            store = database.create("a", SCHEMA)
            for value in strings:
                exercise(store, value)
            store.upsert(Record(mark(value), VECTOR, value) for value in strings if len(mark(value)) < 100)
            store.reindex()
            assert store.search(VECTOR, k=3, where=F.id.in_([mark(value) for value in strings[:50]]))
            assert store.search(VECTOR, k=3, exact=True)
            assert store.verify().problems == ()
            store.delete(where=F.n.is_missing() | (F.x < -1e300) | F.n.in_([1, -2]))
            database.drop("a")
        assert dump_foreign_keys(client) == before
    queries = list(log.list_queries())
    assert len(queries) > 5 * len(strings)
    assert [each for each in queries if not QUERY.fullmatch(each)] == []
    assert {key for each in log.commands for key in each.keys if not key.startswith(f"{NAMESPACE}:".encode())} == set()
    assert len(log.list_scripts()) < 25
    assert not any(_MARK.encode() in text for text in log.list_scripts())


def test_invalid_store_names_never_reach_the_server(own_server: OwnServer) -> None:
    with open_database(own_server.url) as database, record_commands(own_server) as log:
        for value in STRINGS:
            if not re.fullmatch("[a-z][a-z0-9_]{0,47}", value):
                for call in (database.open, database.drop, lambda name: database.create(name, SCHEMA)):
                    with pytest.raises(VecstoreError):
                        call(value)
    assert not any(each.keys for each in log.commands)


@pytest.mark.parametrize(
    "query",
    [ "@f_word:{pa|*}", "@f_word:{Pa}", "@f_word:{pa} | *", "@f_word:{pa b}", "(@f_word:{pa}) (@f_word:{pb})",
        "@f_word:{h6}", "@f_n:[1 2] | *", "@vector:{pa}", "(*)=>[KNN 1 @vector $b AS d]", "@f_word:{}",
        "(@f_word:{pa}|*)=>[KNN 1 @vector $q AS d]",
    ],
)  # fmt: skip
def test_the_grammar_rejects_other_queries(query: str) -> None:
    assert QUERY.fullmatch(query) is None
