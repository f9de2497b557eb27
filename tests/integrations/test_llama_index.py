"""LlamaIndex's tests of its own stores, restated, on every backend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.schema import BaseNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

import vecstore
from vecstore import Database, InvalidArgument, InvalidFilter, VecstoreError
from vecstore.integrations.llama_index import VecstoreVectorStore

Call = Callable[..., Any]
ASYNC_NAMES = {"add": "async_add"}


def make_node(id_: str, embedding: list[float], source: str | None = None, **metadata: Any) -> TextNode:
    relationships = {} if source is None else {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)}
    return TextNode(id_=id_, text=f"About {id_}", embedding=embedding, metadata=metadata, relationships=relationships)


NODES = [
    make_node("a", [1.0, 0.0], "one", weight=1.0, rank="low", tags=["red", "sweet"], code="AB-12x"),
    make_node("b", [0.0, 1.0], "two", weight=2.0, rank="high", tags=["red"], code="ab-77"),
    make_node("c", [1.0, 1.0], "two", weight=3, rank="high", tags=["green", "red", "sweet"], code="ZZ-90"),
    make_node("d", [-1.0, 0.0], None, tags=[], note="", only=True),
]


def one(key: str, operator: str, value: Any = None) -> MetadataFilter:
    return MetadataFilter(key=key, operator=FilterOperator(operator), value=value)


def group(condition: str | None, *items: MetadataFilter | MetadataFilters) -> MetadataFilters:
    return MetadataFilters(filters=list(items), condition=FilterCondition(condition) if condition else None)


HIGH, LOW = one("rank", "==", "high"), one("rank", "==", "low")
FILTERS: list[tuple[MetadataFilters, str]] = [
    (group("and", HIGH), "bc"),
    (group("and", one("weight", "==", 1)), "a"),
    (group("and", one("weight", "==", 3.0)), "c"),
    (group("and", HIGH, one("weight", "==", 2.0)), "b"),
    (group("and", one("weight", "==", 2), one("weight", "==", 3)), ""),
    (group("and", one("absent", "==", "x")), ""),
    (group("or", HIGH, one("weight", "==", 1.0)), "abc"),
    (group("and", HIGH, one("weight", "==", 1.0)), ""),
    (group(None, one("rank", "!=", "low"), one("weight", ">=", 2.0)), "bc"),
    (group("not", LOW), "bcd"),
    (group("not", LOW, one("weight", ">", 2)), "bd"),
    (group("and", one("weight", "!=", 1.0)), "bcd"),
    (group("and", one("weight", ">", 1.5)), "bc"),
    (group("and", one("weight", ">=", 1.0)), "abc"),
    (group("and", one("weight", "<", 1.1)), "a"),
    (group("and", one("weight", "<=", 1.0)), "a"),
    (group("and", one("rank", "in", ["low", "high"])), "abc"),
    (group("and", one("rank", "in", ["low"])), "a"),
    (group("and", one("weight", "in", [1, 3])), "ac"),
    (group("and", one("rank", "nin", ["high"])), "ad"),
    (group("and", one("tags", "contains", "sweet")), "ac"),
    (group("and", one("tags", "any", ["sweet", "green"])), "ac"),
    (group("and", one("tags", "all", ["red", "sweet"])), "ac"),
    (group("and", one("tags", "all", [])), "abcd"),
    (group("and", one("code", "text_match", "AB")), "a"),
    (group("and", one("code", "text_match_insensitive", "aB-")), "ab"),
    (group("and", one("code", "text_match_insensitive", "nothing")), ""),
    (group("not", one("code", "text_match_insensitive", "AB")), "cd"),
    (group("and", one("absent", "is_empty")), "abcd"),
    (group("and", one("tags", "is_empty")), "d"),
    (group("and", one("note", "is_empty")), "abcd"),
    (group("and", one("absent", "!=", "x")), "abcd"),
    (group("and", one("absent", "nin", ["x", "y"])), "abcd"),
    (group("not", one("absent", "==", "x")), "abcd"),
    (group("and", one("absent", "!=", "x"), HIGH), "bc"),
    (group("and", one("ref_doc_id", "==", "two")), "bc"),
    (group("and", one("doc_id", "in", ["one"])), "a"),
    (group("and", one("document_id", "is_empty")), "d"),
    (group("and", group("or", LOW, one("weight", "==", 3)), group("not", one("tags", "contains", "green"))), "a"),
    (group("and"), "abcd"),
]
WRONG = [
    group("and", one("rank", "==")), group("and", one("rank", "in", "low")), group("and", one("weight", ">", [1])),
    group("and", one("code", "text_match", "")), group("and", one("code", "text_match_insensitive", "")),
    group("and", one("code", "text_match", 1)), group("and", HIGH, group("or")),
    group("and", one("tags", "text_match_insensitive", ["red"])),
]  # fmt: skip


@pytest.fixture(params=["blocking", "asynchronous"])
def call(request: pytest.FixtureRequest) -> Call:
    """A call of a method of a store, or of its asynchronous twin."""

    def run(store: VecstoreVectorStore, method: str, *args: Any, **options: Any) -> Any:
        if request.param == "blocking":
            return getattr(store, method)(*args, **options)
        return asyncio.run(getattr(store, ASYNC_NAMES.get(method, f"a{method}"))(*args, **options))

    return run


@pytest.fixture(scope="module")
def shared(database: Database) -> VecstoreVectorStore:
    """The four nodes, for tests that only read."""
    found = VecstoreVectorStore(database, "shared")
    found.add(NODES)
    return found


@pytest.fixture
def filled(database: Database, name: str) -> VecstoreVectorStore:
    found = VecstoreVectorStore(database, name)
    found.add(NODES)
    return found


def ask(k: int = 10, embedding: list[float] | None = [1.0, 1.0], **parts: Any) -> VectorStoreQuery:  # noqa: B006
    return VectorStoreQuery(embedding, similarity_top_k=k, **parts)


def join_ids(nodes: list[BaseNode]) -> str:
    return "".join(node.node_id for node in nodes)


@pytest.mark.parametrize("row", range(len(FILTERS)))
def test_filters(shared: VecstoreVectorStore, call: Call, row: int) -> None:
    filters, ids = FILTERS[row]
    found = call(shared, "query", ask(filters=filters))
    assert set(found.ids) == set(ids)
    assert join_ids(found.nodes) == "".join(found.ids)
    assert join_ids(call(shared, "get_nodes", None, filters)) == ids
    assert call(shared, "query", ask(1, filters=filters)).ids == found.ids[:1]


@pytest.mark.parametrize("row", range(len(WRONG)))
def test_a_filter_without_a_meaning_raises(shared: VecstoreVectorStore, call: Call, row: int) -> None:
    for method, args in (("query", [ask(filters=WRONG[row])]), ("get_nodes", [None, WRONG[row]])):
        with pytest.raises(InvalidFilter):
            call(shared, method, *args)
    for given in (WRONG[row], group("and"), group("or", group("and")), {"rank": "low"}):
        with pytest.raises((InvalidFilter, InvalidArgument)):
            call(shared, "delete_nodes", None, given)
    assert shared.store.count() == 4


@pytest.mark.parametrize(
    "parts, ids",
    [
        ({}, "cabd"),
        ({"k": 1}, "c"),
        ({"k": 0}, ""),
        ({"node_ids": ["a", "b", "absent"]}, "ab"),
        ({"node_ids": []}, "cabd"),
        ({"doc_ids": ["two"]}, "cb"),
        ({"doc_ids": ["absent"]}, ""),
        ({"doc_ids": []}, ""),
        ({"node_ids": ["c", "a"], "filters": group("and", HIGH)}, "c"),
        ({"doc_ids": ["one", "two"], "node_ids": ["a", "b"], "filters": group("not", one("rank", "==", "x"))}, "ab"),
    ],
)  # fmt: skip
def test_restrictions(shared: VecstoreVectorStore, call: Call, parts: dict[str, Any], ids: str) -> None:
    assert "".join(call(shared, "query", ask(**parts)).ids) == ids
    varied = call(shared, "query", ask(**parts, mode=VectorStoreQueryMode.MMR)).ids
    assert set(varied) == set(ids)
    listed = call(shared, "query", ask(**parts, embedding=None))
    assert (["a"] if parts == {"k": 1} else sorted(ids)) == listed.ids
    assert listed.similarities is None


@pytest.mark.parametrize(
    "threshold, options, second",
    [
        (0.0, {}, "z"), (0.25, {}, "z"), (1.0, {}, "y"), (None, {}, "y"), (None, {"mmr_threshold": 0.0}, "z"),
        (None, {"mmr_threshold": 1.0}, "y"), (1.0, {"mmr_threshold": 0.0}, "z"), (0.0, {"mmr_threshold": 1.0}, "y"),
        (0.0, {"mmr_threshold": None}, "y"), (0.0, {"mmr_prefetch_factor": 1.0}, "y"),
    ],
)  # fmt: skip
def test_marginal_relevance(
    varied: VecstoreVectorStore, call: Call, threshold: float | None, options: dict[str, Any], second: str
) -> None:
    query = ask(2, [1.0, 0.0], mode=VectorStoreQueryMode.MMR, mmr_threshold=threshold)
    found = call(varied, "query", query, **options)
    assert found.ids == ["x", second]
    assert found.similarities == pytest.approx([1.0, 0.0 if second == "z" else 1.0], abs=1e-6)
    assert [node.embedding for node in found.nodes] == [None, None]


@pytest.fixture(scope="module")
def varied(database: Database) -> VecstoreVectorStore:
    """Two equal nodes and another one."""
    found = VecstoreVectorStore(database, "varied")
    found.add([make_node("x", [1.0, 0.0]), make_node("y", [1.0, 0.0]), make_node("z", [0.0, 1.0])])
    return found


@pytest.mark.parametrize("mode", sorted(set(VectorStoreQueryMode) - {"default", "mmr"}))
def test_a_mode_that_is_not_there_raises(shared: VecstoreVectorStore, call: Call, mode: VectorStoreQueryMode) -> None:
    with pytest.raises(NotImplementedError, match=mode.value):
        call(shared, "query", ask(mode=mode, query_str="About"))


def test_what_is_unknown_raises(shared: VecstoreVectorStore, call: Call) -> None:
    for method, args, options in (
        ("query", [ask()], {"filter": {}}), ("query", [ask()], {"index_id": "1"}), ("add", [[]], {"index_id": "1"}),
        ("delete", ["one"], {"where": {}}), ("delete_nodes", [["a"]], {"where": {}}), ("clear", [], {"index_id": "1"}),
        ("get_nodes", [["a"]], {"limit": 1}),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="unexpected keyword"):
            call(shared, method, *args, **options)
    for query in (
        ask(output_fields=["x"]),
        ask(embedding_field="x"),
        ask(embedding=None, mode=VectorStoreQueryMode.MMR),
        ask(embedding=[1.0]),
        ask(-1),
    ):
        with pytest.raises(VecstoreError):
            call(shared, "query", query)
    assert shared.store.count() == 4


def test_similarities_are_scores(database: Database, name: str, call: Call) -> None:
    found = VecstoreVectorStore(database, name, metric="l2")
    call(found, "add", NODES)
    result = call(found, "query", ask(3))
    assert result.ids == ["c", "a", "b"]
    assert result.similarities == pytest.approx([0.0, -1.0, -1.0], abs=1e-6)
    assert call(found, "query", ask(3), min_score=-0.5, exact=True).ids == ["c"]


def test_deletes(filled: VecstoreVectorStore, call: Call) -> None:
    refused: list[list[Any]] = [[], [None, None], [["a"], group("and")]]
    for args in refused:
        with pytest.raises(InvalidArgument, match="clear"):
            call(filled, "delete_nodes", *args)
    steps: list[tuple[list[Any], str]] = [
        ([["absent"]], "abcd"),
        ([[]], "abcd"),
        ([["a"], group("and", HIGH)], "abcd"),
        ([["a", "b"], group("and", HIGH)], "acd"),
        ([None, group("and", LOW)], "cd"),
        ([["d"]], "c"),
    ]
    for args, left in steps:
        call(filled, "delete_nodes", *args)
        assert join_ids(call(filled, "get_nodes")) == left
    call(filled, "add", NODES)
    call(filled, "delete", "two")
    call(filled, "delete", "absent")
    assert join_ids(call(filled, "get_nodes")) == "ad"
    call(filled, "clear")
    assert call(filled, "query", ask()).ids == []


def test_the_last_of_equal_ids_wins(filled: VecstoreVectorStore, call: Call) -> None:
    new = [make_node("a", [0.0, 1.0], n=1), make_node("a", [0.0, 1.0], n=2)]
    assert call(filled, "add", new) == ["a", "a"]
    assert call(filled, "get_nodes", ["a"]) == new[1:]


def test_before_the_first_node_there_is_no_store(database: Database, name: str, call: Call) -> None:
    found = VecstoreVectorStore(database, name)
    assert call(found, "add", []) == []
    assert call(found, "query", ask(filters=group("and", one("x", "text_match_insensitive", "y")))).ids == []
    assert call(found, "query", ask(embedding=None)).ids == []
    assert call(found, "get_nodes", ["a"]) == []
    for method, args in (("delete", ["one"]), ("delete_nodes", [["a"]]), ("clear", [])):
        call(found, method, *args)
    with pytest.raises(vecstore.InvalidVector, match="'a'"):
        call(found, "add", [TextNode(id_="a", text="no embedding")])
    with pytest.raises(vecstore.StoreNotFound):
        found.store.count()
    assert name not in database.names()
