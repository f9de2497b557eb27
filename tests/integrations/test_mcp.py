"""The tools of `vecstore mcp`, called by the SDK's own client in this process, on every backend."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from mcp import Client

import vecstore
from tests.integrations.tooling import Tooling
from vecstore import Database, Record, Schema, VectorStore, fields
from vecstore.cli.mcp.answers import ANSWER_CHARS, METADATA_CHARS
from vecstore.cli.mcp.server import make_server
from vecstore.filters.dict_form import _FROM_DICT

READING = ["list_stores", "describe_store", "search", "get", "values"]
SCHEMA = Schema(
    dim=3,
    dynamic=True,
    fields={
        "lang": fields.Keyword(), "year": fields.Int(), "tags": fields.Keywords(), "at": fields.DateTime(),
        "open": fields.Bool(), "size": fields.Float(),
    },
)  # fmt: skip
MOMENT = datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture
def store(database: Database, name: str) -> VectorStore:
    store = database.create(name, SCHEMA)
    store.upsert(
        [
            Record("a", [1, 0, 0], "solar panels", {"lang": "en", "year": 2020, "at": MOMENT, "author": "Ada"}),
            Record(
                "b", [0, 1, 0], "wind turbines", {"lang": "en", "year": 2021, "tags": ["x", "y"], "pages": [1, "2"]}
            ),
            Record("c", [0.9, 0.1, 0], "Sonnenkollektor", {"lang": "de", "open": True, "size": 1.5}),
        ]
    )
    return store


@pytest.fixture
def tools(database: Database, store: VectorStore) -> Tooling:
    return Tooling(make_server(database, store=store.name))


@pytest.fixture
def writing(database: Database, store: VectorStore) -> Tooling:
    return Tooling(make_server(database, store=store.name, write=True))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_tools_explain_themselves(database: Database, store: VectorStore, mode: str) -> None:
    listed = await Tooling(make_server(database), mode).list_tools()
    assert [tool.name for tool in listed] == READING
    for tool in listed:
        assert tool.description
        assert tool.annotations.read_only_hint
        assert tool.input_schema["additionalProperties"] is False
        assert all("description" in each for each in tool.input_schema["properties"].values())


async def test_writing_takes_the_option(database: Database, store: VectorStore, tools: Tooling) -> None:
    listed = await Tooling(make_server(database, write=True)).list_tools()
    assert [tool.name for tool in listed] == [*READING, "add", "delete"]
    assert [tool.annotations.read_only_hint for tool in listed] == [True] * len(READING) + [False] * 2
    for tool in ("add", "delete"):
        assert "Unknown tool" in await tools.fail(tool, ids=["a"], records=[{"id": "z"}])
    assert store.count() == 3


async def test_stores_are_listed_in_pages(database: Database, store: VectorStore, tools: Tooling) -> None:
    (entry,) = (await tools.call("list_stores"))["stores"]
    assert entry == {"store": store.name, "dimensions": 3, "metric": "cosine", "fields": list(SCHEMA.fields)}
    everything = Tooling(make_server(database))
    listed = await everything.call("list_stores")
    assert [each["store"] for each in listed["stores"]] == sorted(database.names())
    assert listed["more"] == 0
    assert store.name not in str(await everything.call("list_stores", after=store.name))


async def test_a_store_describes_its_fields_and_their_operators(store: VectorStore, tools: Tooling) -> None:
    described = await tools.call("describe_store")
    assert (described["store"], described["records"], described["dimensions"]) == (store.name, 3, 3)
    assert described["fields"]["year"]["type"] == "int"
    assert described["fields"]["lang"]["operators"] == [
        "$eq", "$ne", "$in", "$nin", "$starts_with", "$contains_text", "$exists",
    ]  # fmt: skip
    other = described["other_keys"]
    assert other["can_be_filtered"] is True
    assert set(other["operators"]) == set(_FROM_DICT)
    assert other["in_first_100_records"] == {"author": ["string"], "pages": ["list"]}


@pytest.mark.parametrize("field", SCHEMA.fields)
async def test_the_operators_that_are_described_work(tools: Tooling, field: str) -> None:
    described = (await tools.call("describe_store"))["fields"][field]
    values = {
        "keyword": "en", "keywords": "x", "int": 2020, "float": 1.5, "bool": True, "datetime": "2024-01-31T09:30:00Z",
    }  # fmt: skip
    value = values[described["type"]]
    for operator in described["operators"]:
        operand: Any = value
        if operator in {"$in", "$nin", "$contains_any", "$contains_all"}:
            operand = [value]
        elif operator == "$between":
            operand = [value, value]
        elif operator == "$exists":
            operand = True
        await tools.call("search", vector=[1, 0, 0], where={field: {operator: operand}})
    for operator in set(_FROM_DICT) - set(described["operators"]):
        operand = [value, value] if operator in {"$in", "$nin", "$between"} or "contains_a" in operator else value
        assert "InvalidFilter" in await tools.fail("search", vector=[1, 0, 0], where={field: {operator: operand}})


async def test_search(tools: Tooling) -> None:
    found = await tools.call("search", vector=[1, 0, 0], k=2)
    assert [hit["id"] for hit in found["hits"]] == ["a", "c"]
    first = found["hits"][0]
    assert first["score"] == pytest.approx(1)
    assert first["text"] == "solar panels"
    assert first["metadata"] == {"lang": "en", "year": 2020, "at": "2024-02-03T04:05:06+00:00", "author": "Ada"}
    assert (found["exact"], found["complete"]) == (True, True)
    assert [hit["id"] for hit in (await tools.call("search", vector=[1, 0, 0], k=2, offset=2))["hits"]] == ["b"]
    assert [hit["id"] for hit in (await tools.call("search", like="a"))["hits"]] == ["c", "b"]
    where = {"$or": [{"lang": "de"}, {"author": {"$starts_with": "A"}}]}
    assert [hit["id"] for hit in (await tools.call("search", vector=[0, 1, 0], where=where))["hits"]] == ["c", "a"]
    assert [hit["id"] for hit in (await tools.call("search", vector=[1, 0, 0], min_score=0.5))["hits"]] == ["a", "c"]
    # Some models send what is in an argument as text.
    assert (await tools.call("search", vector="[1, 0, 0]", where='{"lang": "de"}'))["hits"][0]["id"] == "c"


async def test_get_and_values(tools: Tooling) -> None:
    found = await tools.call("get", ids=["b", "z", "b"])
    (record,) = found["records"]
    assert record == {
        "id": "b",
        "text": "wind turbines",
        "metadata": {"lang": "en", "year": 2021, "tags": ["x", "y"], "pages": [1, "2"]},
    }
    assert found["absent"] == ["z"]
    assert (await tools.call("get", ids=["b"], keys=["year"]))["records"][0]["metadata"] == {"year": 2021}
    assert await tools.call("values", field="lang") == {
        "values": [{"value": "en", "count": 2}, {"value": "de", "count": 1}],
        "complete": True,
    }
    few = await tools.call("values", field="lang", limit=1, where={"year": {"$gte": 2000}})
    assert few == {"values": [{"value": "en", "count": 2}], "complete": True}
    assert (await tools.call("values", field="at"))["values"] == [{"value": "2024-02-03T04:05:06+00:00", "count": 1}]
    assert (await tools.call("values", field="pages", limit=1)) == {
        "values": [{"value": 1, "count": 1}],
        "complete": False,
    }


@pytest.mark.parametrize(
    "tool, arguments, said",
    [
        ("search", {"vector": [1, 0, 0], "filter": {"lang": "en"}}, "filter"),
        ("search", {"vector": [1, 0, 0], "where": {}}, "match every record"),
        ("search", {"vector": [1, 0, 0], "where": {"year": {"$gte": "x"}}}, "InvalidFilter"),
        ("search", {"vector": [1, 0, 0], "where": {"year": {"$near": 1}}}, "$near"),
        ("search", {"vector": [1, 0]}, "DimensionMismatch"),
        ("search", {"vector": []}, "DimensionMismatch"),
        ("search", {"vector": [0, 0, 0]}, "InvalidVector"),
        ("search", {"vector": [1, 0, 0], "like": "a"}, "exactly one"),
        ("search", {}, "exactly one"),
        ("search", {"query": "…"}, "InvalidQuery"),
        ("search", {"query": "solar"}, "--embedder"),
        ("search", {"vector": [1, 0, 0], "k": 51}, "50"),
        ("search", {"vector": [1, 0, 0], "k": 0}, "1"),
        ("search", {"vector": [1, 0, 0], "min_score": 3}, "InvalidQuery"),
        ("search", {"like": "z"}, "RecordNotFound"),
        ("get", {"ids": "a"}, "list"),
        ("get", {"ids": []}, "at least 1"),
        ("get", {"ids": ["a"] * 51}, "at most 50"),
        ("get", {"ids": [""]}, "InvalidId"),
        ("get", {"ids": ["a"], "store": "other"}, "no store but"),
        ("values", {"field": "lang", "limit": 101}, "100"),
        ("values", {}, "field"),
        ("drop", {}, "Unknown tool"),
    ],
    ids=str,
)
async def test_errors_are_text_for_the_model(tools: Tooling, tool: str, arguments: dict[str, Any], said: str) -> None:
    assert said in await tools.fail(tool, **arguments)


async def test_an_undeclared_key_names_the_ways_out(database: Database, name: str) -> None:
    database.create(name, Schema(dim=2, fields={"lang": fields.Keyword()})).upsert([Record("a", [1, 0])])
    tools = Tooling(make_server(database, store=name))
    assert (await tools.call("describe_store"))["other_keys"]["can_be_filtered"] is False
    assert "UnknownField" in await tools.fail("search", vector=[1, 0], where={"language": "en"})
    assert "UnknownField" in await tools.fail("values", field="language")


async def test_a_store_that_is_not_there_and_none_at_all(database: Database, store: VectorStore) -> None:
    tools = Tooling(make_server(database))
    assert "StoreNotFound" in await tools.fail("describe_store", store="missing")
    with vecstore.connect("memory:") as empty:
        assert "no store yet" in await Tooling(make_server(empty)).fail("search", query="x")
        assert await Tooling(make_server(empty)).call("list_stores") == {"stores": [], "more": 0}
        for name in ("one", "two"):
            empty.create(name, Schema(dim=2))
        assert "list_stores" in await Tooling(make_server(empty)).fail("describe_store")


async def test_answers_are_bounded(store: VectorStore, tools: Tooling) -> None:
    long = "0123456789" * 20_000
    store.upsert(
        [
            Record(f"long {n:02}", [1, 0, n / 1000], long, {"lang": "en", **{f"key{m}": "v" * 500 for m in range(40)}})
            for n in range(50)
        ]
    )
    async with Client(tools.server) as client:
        whole = await client.call_tool("search", {"vector": [1, 0, 0], "k": 50, "text_chars": 20_000})
        assert len(str(whole.content)) < 3 * ANSWER_CHARS
    (hit,) = (await tools.call("search", vector=[1, 0, 0], k=1, where={"key1": {"$exists": True}}))["hits"]
    assert (hit["text"], hit["text_from"], hit["text_length"]) == (long[:1_000], 0, len(long))
    assert hit["metadata"]["lang"] == "en"
    left = hit["metadata_left_out"]
    assert len(hit["metadata"]) - 1 + left["count"] == 40
    assert len(json.dumps(hit["metadata"])) < METADATA_CHARS + 1_000
    (key, *_) = left["keys"]
    (record,) = (await tools.call("get", ids=[hit["id"]], keys=[key]))["records"]
    assert record["metadata"] == {key: "v" * 500}
    read = record["text"]
    while len(read) < record["text_length"]:
        (record,) = (await tools.call("get", ids=[hit["id"]], text_from=len(read)))["records"]
        read += record["text"]
    assert read == long


async def test_add_and_delete(store: VectorStore, writing: Tooling) -> None:
    record = {
        "id": "d",
        "vector": [0, 0, 1],
        "text": "new",
        "metadata": {"at": "2024-05-06T07:08:09Z", "year": 2024, "other": {"deep": [1, None]}},
    }
    assert await writing.call("add", records=[record]) == {"written": 1}
    (stored,) = store.get(["d"])
    assert stored is not None
    assert stored.text == "new"
    expected = {"at": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), "year": 2024, "other": {"deep": [1, None]}}
    assert stored.metadata == expected
    assert "RecordExists" in await writing.fail("add", records=[record])
    assert await writing.call("add", records=[{**record, "text": "newer"}], replace=True) == {"written": 1}
    assert await writing.call("delete", ids=["d", "absent"]) == {"deleted": 1}
    assert store.get(["d"]) == [None]


@pytest.mark.parametrize(
    "record, said",
    [
        ({"id": "d", "vector": [1, 0, 0], "lang": "en"}, "'lang'"),
        ({"vector": [1, 0, 0]}, "InvalidId"),
        ({"id": "d", "vector": [1, 0]}, "DimensionMismatch"),
        ({"id": "d", "vector": [1, 0, 0], "metadata": "x"}, "metadata must be an object"),
        ({"id": "d", "vector": [1, 0, 0], "metadata": {"year": "x"}}, "InvalidMetadata"),
        ({"id": "d", "vector": [1, 0, 0], "metadata": {"at": "soon"}}, "InvalidMetadata"),
        ({"id": "d", "text": "words"}, "--embedder"),
        ({"id": "d"}, "neither a vector nor a text"),
    ],
    ids=str,
)
async def test_a_bad_record_is_refused_with_all_others(
    store: VectorStore, writing: Tooling, record: dict[str, Any], said: str
) -> None:
    assert said in await writing.fail("add", records=[{"id": "good", "vector": [1, 0, 0]}, record])
    assert store.count() == 3


async def test_texts_go_through_the_model_of_the_store(database: Database, name: str) -> None:
    embedder = vecstore.embedders.load("wordllama")
    store = database.create(name, Schema(), embedder=embedder)
    store.upsert([Record("a", text="solar panels"), Record("b", text="a cake with cherries")])
    tools = Tooling(make_server(database, store=name, write=True))
    assert (await tools.call("search", query="baking", k=1))["hits"][0]["id"] == "b"
    await tools.call("add", records=[{"id": "c", "text": "bread and butter"}])
    assert (await tools.call("search", query="bread", k=1))["hits"][0]["id"] == "c"
    other = Tooling(make_server(database, store=name, embedder="sentence-transformers:none-such"))
    assert "none-such" in await other.fail("search", query="baking")


async def test_no_error_repeats_a_secret(database: Database, store: VectorStore) -> None:
    tools = Tooling(make_server(database, store=store.name, secrets=["hunter2"]))
    assert "hunter2" not in await tools.fail("get", ids=["x"], store="hunter2")
