"""The changes of an update: their checks, and the `Update` that a backend gets for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from .backend import Generation, Update
from .errors import EmbedderRequired, InvalidArgument
from .lookup import CurrentEntry
from .rows import metadata
from .rows.texts import check_text
from .rows.vectors import as_matrix
from .store_embedder import StoreEmbedder


def merge_changes(set: Mapping[str, Any] | None, unset: Iterable[str]) -> dict[str, Any]:
    """Return the changes of ``set`` and ``unset`` together; None removes a key.

    Raises
    ------
    InvalidArgument
    """
    if isinstance(unset, str):
        raise InvalidArgument(f"unset must be a list of keys, not the str {unset[:40]!a}.")
    if set is not None and not isinstance(set, Mapping):
        raise InvalidArgument(f"set must be a mapping, not {type(set).__name__}.")
    removed = dict.fromkeys(unset)
    for key in removed.keys() & (set or {}).keys():
        raise InvalidArgument(f"update() got {key!a} in both set and unset. Leave it out of one of them.")
    changes = {**(set or {}), **removed}
    if not changes:
        raise InvalidArgument("update() has nothing to change. Give set={…} or unset=[…].")
    return changes


def compile_update(
    changes: Mapping[str, Any], generation: Generation, current: CurrentEntry, embedder: StoreEmbedder
) -> Update:
    """Return the update for a backend. A new text without a vector is embedded.

    Raises
    ------
    InvalidArgument, InvalidMetadata, InvalidVector, DimensionMismatch, EmbedderRequired, EmbedderMismatch
    """
    values = dict(changes)
    if "id" in values:
        raise InvalidArgument("update() cannot set 'id'. Write the record under its new id, and delete the old one.")
    sets_text, text = "text" in values, check_text(values.pop("text", None), "update()")
    if "vector" in values and values["vector"] is None:
        raise InvalidArgument("update() cannot remove 'vector': every record has one.")
    vector = values.pop("vector", None)
    declared, extra = metadata.split(values, generation.schema.fields, "update()")
    texts = metadata.dump_each(extra, "update()")
    return Update(declared, texts, _make_vector(vector, text, generation, current, embedder), sets_text, text)


def _make_vector(
    vector: Any, text: str | None, generation: Generation, current: CurrentEntry, embedder: StoreEmbedder
) -> NDArray[Any] | None:
    schema = generation.schema
    if vector is not None:
        return as_matrix([vector], schema, ["The new vector"])[0]  # type: ignore[no-any-return]
    if text is None:
        return None
    present = embedder.refresh(current, generation)
    embed = embedder.choose_for_documents(present, current.entry.name)
    embedder.check_claim(present, current.entry.name, claimable=embedder.may_claim(current))
    if embed is None:
        raise EmbedderRequired(
            "The new text needs a new vector, but the store has no embedder. "
            "Open the store with embedder=…, or set 'vector' too."
        )
    matrix = as_matrix(list(embed([text], label=lambda _: "The new text")), schema, ["The new text"])
    embedder.claim(current, present)
    return matrix[0]  # type: ignore[no-any-return]
