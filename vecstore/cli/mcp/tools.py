"""The tools that a model can call. Each takes arguments from JSON, checks them, and returns plain data."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ...database import Database
from ...errors import InvalidArgument, StoreMoved, StoreNotFound
from ...query_texts import check_query_texts
from ...records import Record
from ...store import VectorStore
from ..embedder_choice import check_guess, describe_model, embedder_config
from ..exits import Failure
from . import answers
from .models import Models

_STORES = 100
_SAMPLE = 100
_KEYS = 100

StoreName = Annotated[
    str, Field(description="Which store, by a name of list_stores. It may be left out where there is only one.")
]
Where = Annotated[
    dict[str, Any] | None,
    Field(
        description='Only records that this filter matches, such as {"year": {"$gte": 2020}, "lang": "en"}. '
        "describe_store tells fields and operators; $and and $or take lists of filters, $not takes one."
    ),
]
Ids = Annotated[list[str], Field(min_length=1, max_length=100, description="Ids of records.")]


class Tools:
    """Tools over one database.

    Parameters
    ----------
    database : Database
    store : str, optional
        The only store that the model may see.
    embedder : str, optional
        The model that turns texts into vectors, as ``--embedder`` names it.
    """

    def __init__(self, database: Database, store: str | None = None, embedder: str | None = None) -> None:
        self._database, self._store = database, store
        self._models = Models(embedder)

    def list_stores(
        self, after: Annotated[str, Field(description="The last name of the page before.")] = ""
    ) -> dict[str, Any]:
        """List the stores: their names, and what their vectors are."""
        names = [self._store] if self._store is not None else sorted(self._database.names())
        names = [name for name in names if name > after]
        return {
            "stores": [self._outline_store(name) for name in names[:_STORES]],
            "more": max(0, len(names) - _STORES),
        }

    def describe_store(self, store: StoreName = "") -> dict[str, Any]:
        """Describe a store: how many records it has, and the metadata fields with their types and filter operators."""
        opened = self._open(store)
        schema = opened.schema
        found: dict[str, Any] = {
            "store": opened.name, "records": opened.count(), "dimensions": schema.dim, "metric": schema.metric.value,
            "model": describe_model(embedder_config(opened)), "fields": answers.describe_fields(schema),
        }  # fmt: skip
        sample = [record.metadata for record in opened.scan(include=("metadata",), limit=_SAMPLE)]
        keys = answers.list_classes(sample, schema.fields, _KEYS)
        if not schema.dynamic:
            return {**found, "other_keys": {"can_be_filtered": False, f"in_first_{_SAMPLE}_records": keys}}
        operators = answers.list_operators(None)
        return {
            **found,
            "other_keys": {"can_be_filtered": True, "operators": operators, f"in_first_{_SAMPLE}_records": keys},
        }

    def search(
        self,
        store: StoreName = "",
        query: Annotated[str, Field(description="A text or question; records of a near meaning are found.")] = "",
        vector: Annotated[list[float] | None, Field(description="Numbers to search with, in place of query.")] = None,
        like: Annotated[str, Field(description="Id of a record to find near ones of, in place of query.")] = "",
        k: Annotated[int, Field(ge=1, le=50, description="How many records to find.")] = 10,
        offset: Annotated[int, Field(ge=0, le=9_000, description="Leave out the best hits; 10 is page two.")] = 0,
        where: Where = None,
        min_score: Annotated[float | None, Field(description="Leave out hits with a lower score.")] = None,
        text_chars: Annotated[int, Field(ge=0, le=20_000, description="Show so much of each text.")] = 1_000,
    ) -> dict[str, Any]:
        """Find the records nearest to a text, a vector or another record, best first; a larger score is nearer."""
        if [bool(query), vector is not None, bool(like)].count(True) != 1:
            raise Failure("Give exactly one of query, vector and like.")
        opened = self._open(store)
        if like:
            hits = opened.similar_to(like, k, offset=offset, where=where, min_score=min_score)
        else:
            if query:
                check_query_texts([query])
                opened = self._open_with_model(opened)
            hits = opened.search(
                query if vector is None else vector, k, offset=offset, where=where, min_score=min_score
            )
        share = answers.ANSWER_CHARS // max(1, len(hits))
        fields = opened.schema.fields
        shown = [
            {
                "id": hit.id,
                "score": round(hit.score, 6),
                **answers.show_text(hit.text, 0, min(text_chars, share)),
                **answers.show_metadata(hit.metadata or {}, fields, min(answers.METADATA_CHARS, share)),
            }
            for hit in hits
        ]
        return {"hits": shown, "exact": hits.exact, "complete": hits.complete}

    def get(
        self,
        ids: Annotated[list[str], Field(min_length=1, max_length=50, description="Ids of records.")],
        store: StoreName = "",
        keys: Annotated[list[str] | None, Field(description="Show these metadata keys only.")] = None,
        text_from: Annotated[int, Field(ge=0, description="Show texts from this character on.")] = 0,
    ) -> dict[str, Any]:
        """Read records by their ids: the complete text, in parts where it is long, and metadata."""
        opened = self._open(store)
        found = dict(zip(ids, opened.get(ids), strict=True))
        share = answers.ANSWER_CHARS // len(found)
        shown = []
        for record in found.values():
            if record is None:
                continue
            metadata = {key: value for key, value in record.metadata.items() if keys is None or key in keys}
            shown.append(
                {
                    "id": record.id,
                    **answers.show_text(record.text, text_from, share),
                    **answers.show_metadata(metadata, opened.schema.fields, share),
                    **({} if record.vector is not None else {"has_vector": False}),
                }
            )
        return {"records": shown, "absent": [id_ for id_, record in found.items() if record is None]}

    def values(
        self,
        field: Annotated[str, Field(description="A metadata field or key.")],
        store: StoreName = "",
        where: Where = None,
        limit: Annotated[int, Field(ge=1, le=100, description="Show so many values, the most frequent first.")] = 50,
    ) -> dict[str, Any]:
        """List the values that a metadata field has, with the number of records that have each."""
        found = self._open(store).values(field, where, limit=limit + 1)
        shown = [{"value": answers.show_value(value), "count": count} for value, count in found[:limit]]
        return {"values": shown, "complete": len(found) <= limit}

    def add(
        self,
        records: Annotated[
            list[dict[str, Any]],
            Field(
                min_length=1,
                max_length=100,
                description='Records, such as {"id": "a1", "text": "…", "metadata": {"lang": "en"}}. The text is '
                'embedded, unless there is a list of numbers under "vector".',
            ),
        ],
        store: StoreName = "",
        replace: Annotated[bool, Field(description="Replace records that exist; otherwise they are refused.")] = False,
    ) -> dict[str, Any]:
        """Add records to a store that exists; all of them are written, or none."""
        opened = self._open(store)
        taken = [self._read_record(record, number, opened) for number, record in enumerate(records)]
        has_model = self._models.is_named or embedder_config(opened) is not None
        if any(record.vector is None and record.text is not None for record in taken) and (
            has_model or not opened.schema.has_optional_vectors
        ):
            opened = self._open_with_model(opened, writes=True)
        return {"written": opened.upsert(taken) if replace else opened.insert(taken)}

    def delete(self, ids: Ids, store: StoreName = "") -> dict[str, Any]:
        """Delete records by their ids, for good."""
        return {"deleted": self._open(store).delete(ids=ids)}

    def _outline_store(self, name: str) -> dict[str, Any]:
        try:
            schema = self._database.open(name).schema
        except (InvalidArgument, StoreMoved, StoreNotFound) as error:  # of one store, which must not hide the others
            return {"store": name, "problem": str(error)}
        fields = list(schema.fields)
        return {"store": name, "dimensions": schema.dim, "metric": schema.metric.value, "fields": fields}

    def _open(self, name: str) -> VectorStore:
        served = self._store
        if served is not None and name not in {"", served}:
            raise Failure(f"This server has no store but {served!a}.")
        return self._database.open(name or served or self._find_only_store())

    def _find_only_store(self) -> str:
        names = sorted(self._database.names())
        if len(names) == 1:
            return names[0]
        raise Failure("Name the store: list_stores shows them." if names else "There is no store yet.")

    def _open_with_model(self, store: VectorStore, *, writes: bool = False) -> VectorStore:
        check_guess(store, self._models.spec, writes=writes)
        return self._database.open(store.name, embedder=self._models.load())

    def _read_record(self, given: dict[str, Any], number: int, store: VectorStore) -> Record:
        unknown = sorted(given.keys() - {"id", "text", "vector", "metadata"})
        if unknown:
            raise Failure(f"Record {number}: {unknown[0][:60]!a} is no part of a record; put it into metadata.")
        metadata = given.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise Failure(f"Record {number}: metadata must be an object, not {type(metadata).__name__}.")
        read = answers.read_metadata(metadata, store.schema.fields)
        return Record(given.get("id"), given.get("vector"), given.get("text"), read)  # type: ignore[arg-type]
