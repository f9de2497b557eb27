"""Haystack's documents as vecstore's records, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from haystack import Document

from ... import Hit, Record

RESERVED = "_haystack"
"""The metadata key of what a record has no place for."""
_RESERVED_PARTS = ("blob", "sparse_embedding", "score")


def to_record(document: Document) -> Record:
    """Return the record of a document; its metadata keys become the record's."""
    metadata = dict(check_meta(document.meta))
    given = document.to_dict(flatten=False)
    if reserved := {name: given[name] for name in _RESERVED_PARTS if given[name] is not None}:
        metadata[RESERVED] = reserved
    # There is no embedder: a document without an embedding stays without a vector.
    return Record(document.id, document.embedding, document.content, metadata)


def to_document(found: Record | Hit, score: float | None = None) -> Document:
    """Return the document of a record, with a score of its own."""
    meta = dict(found.metadata or {})
    reserved = dict(meta.pop(RESERVED, {}))
    if score is not None:
        reserved["score"] = score
    embedding = None if found.vector is None else np.asarray(found.vector).tolist()
    return Document.from_dict({"id": found.id, "content": found.text, "embedding": embedding, "meta": meta} | reserved)


def check_meta(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return metadata, in which the key for a document's other parts has no place."""
    if RESERVED in meta:
        raise ValueError(f"The key {RESERVED!r} of meta is taken by a document's blob and sparse embedding. Rename it.")
    return meta
