"""LlamaIndex's nodes as vecstore's records, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from llama_index.core.schema import BaseNode, Document, ImageDocument, ImageNode, IndexNode, Node, TextNode

from ... import Hit, InvalidArgument, InvalidMetadata, InvalidVector, Record

SOURCE = "ref_doc_id"
"""The metadata key of the source document, in every store of LlamaIndex; absent where a node has none."""
SOURCES = frozenset({SOURCE, "doc_id", "document_id"})
"""All names that LlamaIndex knows that key by."""
_CONTENT, _KIND = "_node_content", "_node_type"
_RESERVED = SOURCES | {_CONTENT, _KIND}
_MAX_CONTENT = 1 << 20
_CLASSES: Mapping[str, type[BaseNode]] = MappingProxyType(
    {each.class_name(): each for each in (TextNode, IndexNode, ImageNode, Node, Document, ImageDocument)}
)


def to_record(node: Any) -> Record:
    """Return the record of a node; its metadata keys become the record's."""
    if not isinstance(node, BaseNode):
        raise InvalidArgument(f"add() takes a list of nodes. There is a {type(node).__name__} in it.")
    if node.embedding is None:
        raise InvalidVector(f"Node {node.node_id!a} has no embedding. Give it one, or let VectorStoreIndex embed it.")
    content = node.model_dump(mode="json", exclude={"embedding", "metadata", "text"})
    resource = content.get("text_resource")
    text = resource.pop("text", None) if resource else getattr(node, "text", None) or None
    # What a record would not give back under its own key stays here: None, and the names that LlamaIndex uses itself.
    content["metadata"] = {key: value for key, value in node.metadata.items() if value is None or key in _RESERVED}
    try:
        encoded = json.dumps(content, ensure_ascii=False)
    except TypeError as error:
        kept = ", ".join(sorted(content["metadata"]))
        raise InvalidMetadata(f"Node {node.node_id!a}: the metadata under {kept} is no JSON.") from error
    if len(encoded) > _MAX_CONTENT:
        raise InvalidMetadata(
            f"Node {node.node_id!a} has more than {_MAX_CONTENT:,} bytes beside its text and metadata. Keep an image "
            "elsewhere, and give its image_path or image_url."
        )
    own = {_CONTENT: encoded, _KIND: node.class_name(), SOURCE: node.ref_doc_id}
    return Record(node.node_id, node.embedding, text, {**node.metadata, **dict.fromkeys(_RESERVED), **own})


def to_node(found: Record | Hit, *, embedded: bool = False) -> BaseNode:
    """Return the node of a record, and of one that was written without LlamaIndex a `TextNode`."""
    metadata = dict(found.metadata or {})
    own = {key: metadata.pop(key, None) for key in _RESERVED}
    content: dict[str, Any] = json.loads(own[_CONTENT] or "{}")
    made = _CLASSES.get(str(own[_KIND]), TextNode)
    content |= {"id_": found.id, "metadata": {**content.get("metadata", {}), **metadata}}
    if not issubclass(made, Node):
        content["text"] = found.text or ""
    elif found.text is not None:
        content["text_resource"] = {**(content.get("text_resource") or {}), "text": found.text}
    if embedded and found.vector is not None:
        content["embedding"] = np.asarray(found.vector).tolist()
    node: BaseNode = made.from_dict(content)
    return node
