"""The frameworks of the matrix, each with its own evaluator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import eq, ne
from typing import Any, ClassVar

from haystack import Document as HaystackDocument
from haystack.utils.filters import document_matches_filter
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn, node_to_metadata_dict
from pydantic import ValidationError

from tests.integrations.filter_matrix import (
    BOOL_FOR_NUMBER,
    DATES,
    IDS,
    METADATA,
    NUMBER_BEYOND,
    ORDERS,
    OTHER_CLASS,
    PATHS,
    Condition,
    Difference,
    Framework,
    Group,
    read_stored,
)
from vecstore import Database
from vecstore.integrations.haystack import VecstoreDocumentStore
from vecstore.integrations.langchain import VecstoreVectorStore as LangChainStore
from vecstore.integrations.llama_index import VecstoreVectorStore as LlamaIndexStore

VECTOR = [1.0, 0.0]


def compares_dates(condition: Condition, stored: Any) -> bool:
    """Say whether Haystack parses texts that vecstore compares as they are."""
    wanted = condition.value if condition.operator in {"in", "nin"} else [condition.value]
    if condition.operator in ORDERS:
        return isinstance(stored, str) and not (stored in DATES and have_one_form(stored, condition.value))
    return stored in DATES and any(each in DATES and each != stored for each in wanted)


def make_date(value: Any) -> Any:
    """Return the datetime that a text with a time is; Haystack takes both."""
    return datetime.fromisoformat(value) if value in DATES and "T" in value else value


def have_one_form(one: str, other: str) -> bool:
    return len(one) == len(other) and one[19:] == other[19:]


class Haystack(Framework):
    name = "Haystack"
    page = "docs/haystack.md"
    operators = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
    has_empty_groups = True
    differences = (
        BOOL_FOR_NUMBER, NUMBER_BEYOND, OTHER_CLASS,
        Difference("a date that is not declared is a text", compares_dates),
    )  # fmt: skip
    spellings: ClassVar = {
        "eq": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "in": "in", "nin": "not in",
    }  # fmt: skip
    refusals: ClassVar = {
        "fields of the document other than `id` and `meta`": {"field": "content", "operator": "==", "value": "a"},
        "an object as a value": {"field": "meta.o", "operator": "==", "value": {"n": 1}},
        "an order of a bool": {"field": "meta.flag", "operator": ">", "value": True},
        "an order of a text that is no ISO 8601 date": {"field": "meta.word", "operator": ">", "value": "1"},
    }
    documents: ClassVar = [
        HaystackDocument(id=id_, embedding=VECTOR, meta=meta) for id_, meta in zip(IDS, METADATA, strict=True)
    ]

    def can_spell(self, condition: Condition) -> bool:
        value = condition.value
        if condition.operator in ORDERS:
            return not isinstance(value, str) or value in DATES
        if condition.operator in {"in", "nin"}:
            return True
        return not isinstance(value, dict) and not (isinstance(value, list) and None in value)

    def spell(self, tree: Condition | Group) -> Any:
        if isinstance(tree, Group):
            return {"operator": tree.word.upper(), "conditions": [self.spell(item) for item in tree.items]}
        field = ".".join(("meta", *tree.path))
        value = tree.value
        if tree.path == ("when",):
            value = [*map(make_date, value)] if tree.operator in {"in", "nin"} else make_date(value)
        return {"field": field, "operator": self.spellings[tree.operator], "value": value}

    def evaluate(self, tree: Condition | Group, number: int) -> bool | None:
        return document_matches_filter(self.spell(tree), self.documents[number])

    def combine(self, word: str, answers: Sequence[bool]) -> bool:
        return not all(answers) if word == "not" else all(answers) if word == "and" else any(answers)

    def fill(self, database: Database, name: str) -> Callable[[Any], set[str]]:
        store = VecstoreDocumentStore(database, name, 2)
        store.write_documents(self.documents)
        return lambda filters: {each.id for each in store.filter_documents(filters)}


def make_filters(key: str, operator: str, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=FilterOperator(operator), value=value)])


def looks_into_other_than_lists(condition: Condition, stored: Any) -> bool:
    if condition.operator == "all" and not condition.value:
        return False
    return condition.operator in {"contains", "any", "all"} and not isinstance(stored, list)


def looks_into_other_than_texts(condition: Condition, stored: Any) -> bool:
    return condition.operator in {"text", "text_any_case"} and not isinstance(stored, str)


class LlamaIndex(Framework):
    name = "LlamaIndex"
    page = "docs/llama-index.md"
    operators = (
        "eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "any", "all", "text", "text_any_case", "empty",
    )  # fmt: skip
    paths: ClassVar = [path for path in PATHS if len(path) == 1]
    differences = (
        BOOL_FOR_NUMBER, NUMBER_BEYOND, OTHER_CLASS,
        Difference("CONTAINS, ANY and ALL look into lists only", looks_into_other_than_lists),
        Difference("TEXT_MATCH of what is no text is false", looks_into_other_than_texts),
    )  # fmt: skip
    spellings: ClassVar = {
        "text": FilterOperator.TEXT_MATCH, "text_any_case": FilterOperator.TEXT_MATCH_INSENSITIVE,
        "empty": FilterOperator.IS_EMPTY,
    }  # fmt: skip
    refusals: ClassVar = {
        "None as a value": make_filters("word", "==", None),
        "an empty text in TEXT_MATCH": make_filters("word", "text_match", ""),
        "a text in place of a list in IN": make_filters("word", "in", "apple"),
        "a list in an order": make_filters("tags", ">", ["a"]),
    }
    nodes: ClassVar = [
        TextNode(id_=id_, text="x", embedding=VECTOR, metadata=each) for id_, each in zip(IDS, METADATA, strict=True)
    ]
    stored: ClassVar = [node_to_metadata_dict(node) for node in nodes]

    def can_spell(self, condition: Condition) -> bool:
        value = condition.value
        if condition.operator == "empty":
            return True
        if value is None or (isinstance(value, list) and (condition.operator in {*ORDERS, "contains"})):
            return False
        try:
            spelled = self._spell_one(condition)
        except ValidationError:  # it takes no bool and no mixed list
            return False
        return repr(spelled.value) == repr(value)

    def spell(self, tree: Condition | Group) -> Any:
        if isinstance(tree, Condition):
            return MetadataFilters(filters=[self._spell_one(tree)])
        items = [self.spell(item) if isinstance(item, Group) else self._spell_one(item) for item in tree.items]
        return MetadataFilters(filters=items, condition=FilterCondition(tree.word))

    def _spell_one(self, condition: Condition) -> MetadataFilter:
        operator = self.spellings.get(condition.operator) or FilterOperator[condition.operator.upper()]
        value = None if condition.operator == "empty" else condition.value
        return MetadataFilter(key=condition.path[0], value=value, operator=operator)

    def evaluate(self, tree: Condition | Group, number: int) -> bool | None:
        if isinstance(tree, Group) and any(isinstance(item, Group) for item in tree.items):
            return None  # it refuses nested groups
        return build_metadata_filter_fn(lambda _: self.stored[number], self.spell(tree))("")

    def combine(self, word: str, answers: Sequence[bool]) -> bool:
        return all(answers) if word == "and" else any(answers) == (word == "or")

    def fill(self, database: Database, name: str) -> Callable[[Any], set[str]]:
        store = LlamaIndexStore(database, name)
        store.add(self.nodes)

        def find(filters: MetadataFilters) -> set[str]:
            return set(store.query(VectorStoreQuery(VECTOR, similarity_top_k=100, filters=filters)).ids or ())

        return find


class LangChain(Framework):
    """LangChain has no filters of its own: the adapter's are compared with functions in its `InMemoryVectorStore`."""

    name = "LangChain"
    page = "docs/langchain.md"
    operators = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "any", "all", "text")
    most: ClassVar = {"and": 3, "or": 3, "not": 1}
    differences = (BOOL_FOR_NUMBER, NUMBER_BEYOND, OTHER_CLASS)
    spellings: ClassVar = {"any": "$contains_any", "all": "$contains_all", "text": "$contains_text"}
    documents: ClassVar = [
        LangChainDocument(id=id_, page_content=id_, metadata=each) for id_, each in zip(IDS, METADATA, strict=True)
    ]

    def __init__(self) -> None:
        self.store = InMemoryVectorStore(DeterministicFakeEmbedding(size=2))
        self.store.add_documents(self.documents)

    def can_spell(self, condition: Condition) -> bool:
        operator, value = condition.operator, condition.value
        if isinstance(value, list):
            return None not in value and operator != "contains" and (operator != "all" or bool(value))
        return value is not None and not isinstance(value, dict)

    def spell(self, tree: Condition | Group) -> Any:
        if isinstance(tree, Group):
            items = [self.spell(item) for item in tree.items]
            return {"$not": items[0]} if tree.word == "not" else {f"${tree.word}": items}
        condition = {self.spellings.get(tree.operator, f"${tree.operator}"): tree.value}
        if len(tree.path) > 1:
            return {"$path": [list(tree.path), condition]}
        return {"$key": ["id", condition]} if tree.path == ("id",) else {tree.path[0]: condition}

    def evaluate(self, tree: Condition | Group, number: int) -> bool | None:
        if isinstance(tree, Group):
            return None
        stored, value = read_stored(tree.path, METADATA[number]), tree.value
        if stored is None:
            return tree.operator in {"ne", "nin"}
        match tree.operator:
            case "in" | "nin":
                return (stored in value) == (tree.operator == "in")
            case "contains" | "any" | "all":
                wanted = [value] if tree.operator == "contains" else value
                found = [isinstance(stored, list) and each in stored for each in wanted]
                return any(found) if tree.operator == "any" else all(found)
            case "text":
                return isinstance(stored, str) and value in stored
        return bool({"eq": eq, "ne": ne, **ORDERS}[tree.operator](stored, value))

    def combine(self, word: str, answers: Sequence[bool]) -> bool:
        return not answers[0] if word == "not" else all(answers) if word == "and" else any(answers)

    def select(self, holds: Callable[[int], bool]) -> set[str]:
        found = self.store.similarity_search_by_vector(
            VECTOR, 100, filter=lambda document: holds(IDS.index(str(document.id)))
        )
        return {str(each.id) for each in found}

    def fill(self, database: Database, name: str) -> Callable[[Any], set[str]]:
        store = LangChainStore(database, name, DeterministicFakeEmbedding(size=2))
        store.add_documents(self.documents)
        return lambda where: {str(each.id) for each in store.similarity_search_by_vector(VECTOR, 100, filter=where)}


FRAMEWORKS: list[Framework] = [Haystack(), LangChain(), LlamaIndex()]
