"""The blocking methods of the document store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from typing import Any, Self

from haystack import Document, default_from_dict, default_to_dict
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret

from ... import ALL, Database, DuplicateId, InvalidArgument, Record, RecordExists, Schema, connect
from ...fields import Field
from .documents import RESERVED, check_meta, to_document, to_record
from .filters import read_filters, read_path, require_filters

Filters = dict[str, Any] | None


class BlockingDocumentStore:
    """What `VecstoreDocumentStore` says, which adds the asynchronous methods."""

    def __init__(
        self,
        place: Secret | str | Database,
        name: str,
        embedding_dimension: int = 768,
        *,
        fields: Mapping[str, Field] | None = None,
        metric: str = "cosine",
    ) -> None:
        schema = Schema(embedding_dimension, metric=metric, fields=fields or {}, dynamic=True, vectors="optional")
        self._place, self._schema = place, schema
        url = place.resolve_value() if isinstance(place, Secret) else place
        database = url if isinstance(url, Database) else connect(url or "")
        self._opened = None if isinstance(place, Database) else database
        there = name in database.names()
        self.store = database.open(name) if there else database.create(name, schema, if_exists="open")
        if self.store.schema.width != embedding_dimension:
            self.close()
            raise InvalidArgument(f"The store has {self.store.schema.width} dimensions, not {embedding_dimension}.")

    def close(self) -> None:
        """Close the connection, if this object opened it."""
        if self._opened is not None:
            self._opened.close()

    def to_dict(self) -> dict[str, Any]:
        """Describe the document store. A URL that may hold a password has to be a Secret from the environment."""
        place: Any = self._place.to_dict() if isinstance(self._place, Secret) else self._place
        if isinstance(place, Database) or (isinstance(place, str) and not place.startswith(("file:", "memory:"))):
            raise InvalidArgument('Only a URL is described: give place=Secret.from_env_var("VECSTORE_URL").')
        described = self._schema.to_dict()
        return default_to_dict(
            self,
            place=place,
            name=self.store.name,
            embedding_dimension=described["dim"],
            fields=described["fields"],
            metric=described["metric"],
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Open what `to_dict` described."""
        given = dict(data["init_parameters"])
        if isinstance(given["place"], dict):
            given["place"] = Secret.from_dict(given["place"])
        given["fields"] = Schema.from_dict(Schema(1).to_dict() | {"fields": given["fields"]}).fields
        return default_from_dict(cls, data | {"init_parameters": given})

    def count_documents(self) -> int:
        """Return how many documents there are."""
        return self.store.count()

    def count_documents_by_filter(self, filters: Filters) -> int:
        """Return how many documents match."""
        return self.store.count(read_filters(filters))

    def filter_documents(self, filters: Filters = None) -> list[Document]:
        """Return the matching documents in the order of their ids."""
        return [to_document(record) for record in self.store.scan(read_filters(filters))]

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Write all documents or none, and return how many were written. Without a policy a duplicate raises.

        Raises
        ------
        DuplicateDocumentError
            An id is already there, or twice among the documents, and the policy is NONE or FAIL.
        """
        if not isinstance(documents, list) or not all(isinstance(each, Document) for each in documents):
            raise ValueError("write_documents() takes a list of Documents.")
        records, size = [to_record(each) for each in documents], max(1, len(documents))
        if policy == DuplicatePolicy.OVERWRITE:
            return self.store.upsert(records, batch_size=size)
        if policy == DuplicatePolicy.SKIP:
            return self._write_absent({record.id: record for record in reversed(records)})
        try:
            return self.store.insert(records, batch_size=size)
        except (RecordExists, DuplicateId) as error:
            raise DuplicateDocumentError(f"{error} Nothing is written.") from error

    def _write_absent(self, records: Mapping[str, Record]) -> int:
        while True:
            there = {found.id for found in self.store.get(list(records)) if found is not None}
            absent = [record for id_, record in records.items() if id_ not in there]
            try:
                return self.store.insert(absent, batch_size=max(1, len(absent)))
            except RecordExists:  # another writer was faster, so the next look finds one more
                continue

    def delete_documents(self, document_ids: list[str]) -> None:
        """Remove documents by id; an id that is not there is no failure."""
        self.store.delete(ids=document_ids)

    def delete_all_documents(self) -> None:
        """Remove every document."""
        self.store.delete(where=ALL)

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Remove the matching documents, and return how many; an empty filter raises."""
        return self.store.delete(where=require_filters(filters))

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Set metadata keys of the matching documents, and return how many; an empty filter raises."""
        return self.store.update(where=require_filters(filters), metadata=check_meta(meta))

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """Return the type of each metadata key: ``str``, ``number``, ``bool``, ``list``, …, or ``mixed``."""
        found = self.store.keys()
        keys = [key for key in found if key.count and key.name != RESERVED]
        return {key.name: {"type": next(iter(key.classes)) if len(key.classes) == 1 else "mixed"} for key in keys}

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """Return the least and the greatest value; numbers come before texts, as in no order of Python."""
        values = sorted(self._read_values(metadata_field, None), key=lambda value: (isinstance(value, str), value))
        return {"min": values[0] if values else None, "max": values[-1] if values else None}

    def count_unique_metadata_by_filter(self, filters: Filters, metadata_fields: list[str]) -> dict[str, int]:
        """Return how many values each metadata key has among the matching documents."""
        return {name.removeprefix("meta."): len(self._read_values(name, filters)) for name in metadata_fields}

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters = None,
    ) -> tuple[list[Any], int]:
        """Return a page of the values of a metadata key, in the order of their texts, and how many there are.

        1, 1.0, "1" and True are four values here, which the store's own `values` takes for three.
        """
        term, values = (search_term or "").casefold(), self._scan_values(metadata_field, filters)
        found = [value for value in values if term in str(value).casefold()]
        return found[from_ : from_ + size], len(found)

    def _read_values(self, name: str, filters: Filters) -> list[Any]:
        path = read_path(name)
        if len(path) > 1:
            return [value for value in self._scan_values(name, filters) if isinstance(value, str | int | float)]
        return [value for value, _ in self.store.values(path[0], read_filters(filters))]

    def _scan_values(self, name: str, filters: Filters) -> list[Any]:
        path, found = read_path(name), {}
        for record in self.store.scan(read_filters(filters), include={"metadata"}):
            start: Any = record.metadata
            value = reduce(lambda at, key: at.get(key) if isinstance(at, dict) else None, path[1:], start.get(path[0]))
            for each in value if isinstance(value, list) else [value]:
                if each is not None:
                    found[type(each).__name__, json.dumps(each, default=str)] = each
        return [found[key] for key in sorted(found, key=lambda key: (str(found[key]), key))]

    def embedding_retrieval(
        self,
        query_embedding: list[float],
        *,
        filters: Filters = None,
        top_k: int = 10,
        scale_score: bool = False,
        return_embedding: bool = False,
    ) -> list[Document]:
        """Return the nearest documents. A larger score is nearer, whatever the metric; a scaled one is from 0 to 1."""
        include = {"text", "metadata", "vector"} if return_embedding else {"text", "metadata"}
        found = self.store.search(query_embedding, top_k, where=read_filters(filters), include=include)
        metric = self.store.schema.metric.value
        if scale_score and metric == "ip":
            raise InvalidArgument("An inner product has no scale from 0 to 1. Leave out scale_score.")
        return [to_document(hit, _scale(hit.score, metric) if scale_score else hit.score) for hit in found]


def _scale(score: float, metric: str) -> float:
    return max(0.0, min(1.0, (score + 1) / 2)) if metric == "cosine" else 1 / (1 - score)
