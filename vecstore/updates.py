"""The changes of an update: their checks, and the `Update` that a backend gets for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from numpy.typing import ArrayLike, NDArray

from .backend import Generation, Update
from .errors import EmbedderRequired, InvalidArgument, InvalidVector
from .lookup import CurrentEntry
from .rows import metadata
from .rows.conversion import find_unknown, has_text
from .rows.texts import check_text
from .rows.vectors import as_matrix
from .store_embedder import StoreEmbedder


class Keep(Enum):
    """The text or the vector of an update that leaves it as it is; None removes it."""

    KEEP = "keep"

    def __repr__(self) -> str:
        """Return what the signature of `VectorStore.update` shows."""
        return self.name


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What an update changes. None removes a metadata key, the text or the vector."""

    metadata: Mapping[str, Any]
    text: str | Keep | None
    vector: ArrayLike | Keep | None


def collect_changes(
    metadata: Mapping[str, Any] | None,
    text: str | Keep | None,
    vector: ArrayLike | Keep | None,
    unset: Iterable[str],
    former: object,
) -> Changes:
    """Return the changes of an update. ``former`` is what ``set=`` got, which was the spelling before.

    Raises
    ------
    InvalidArgument
    """
    if former is not None:
        raise InvalidArgument(
            "update() has no set= any more. Write update(metadata={…}), and text=… or vector=… beside it: "
            "a metadata key may be called 'text', too. unset=[…] removes metadata keys, and text=None the text."
        )
    if isinstance(unset, str):
        raise InvalidArgument(f"unset must be a list of metadata keys, not the str {unset[:40]!a}.")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InvalidArgument(f"metadata must be a mapping, not {type(metadata).__name__}.")
    removed = dict.fromkeys(unset)
    for key in removed.keys() & (metadata or {}).keys():
        raise InvalidArgument(f"update() got {key!a} in both metadata and unset. Leave it out of one of them.")
    changes = Changes({**(metadata or {}), **removed}, text, vector)
    if not changes.metadata and text is KEEP and vector is KEEP:
        raise InvalidArgument("update() has nothing to change. Give metadata={…}, text=…, vector=… or unset=[…].")
    return changes


def compile_update(changes: Changes, generation: Generation, current: CurrentEntry, embedder: StoreEmbedder) -> Update:
    """Return the update for a backend. A new text without a vector is embedded.

    Raises
    ------
    InvalidArgument, InvalidMetadata, InvalidVector, DimensionMismatch, EmbedderRequired, EmbedderMismatch
    """
    text = check_text(None if changes.text is KEEP else changes.text, "update()")
    removes_vector = changes.vector is None
    if removes_vector and not generation.schema.has_optional_vectors:
        raise InvalidVector(
            "update() cannot remove the vector: the schema has vectors='required', so every record has one."
        )
    comes_from_text = not embedder or (embedder.takes_texts and not embedder.takes_items)
    if changes.vector is KEEP and text is not None and not has_text(text) and comes_from_text:
        if not generation.schema.has_optional_vectors:
            raise InvalidVector(
                "update() has a blank text and no vector, and no vector can be made of it. Give vector=… too, or "
                "text=None to remove the text and keep the vector."
            )
        removes_vector = True
    vector = None if changes.vector is KEEP else changes.vector
    declared, extra = metadata.split(changes.metadata, generation.schema.fields, "update()")
    texts = metadata.dump_each(extra, "update()")
    made, is_unknown = None, False
    if not removes_vector:
        made, is_unknown = _make_vector(vector, text, generation, current, embedder)
    return Update(declared, texts, made, changes.text is not KEEP, text, removes_vector or is_unknown)


def _make_vector(
    vector: Any, text: str | None, generation: Generation, current: CurrentEntry, embedder: StoreEmbedder
) -> tuple[NDArray[Any] | None, bool]:
    """Return the new vector, if there is one, and whether the embedder knows nothing of the new text."""
    schema = generation.schema
    if vector is not None:
        return as_matrix([vector], schema, ["The new vector"])[0], False
    if text is None:
        return None, False
    present = embedder.refresh(current, generation)
    if not embedder.embeds_texts(present, current.entry.name):
        return None, False
    embed = embedder.choose_for_documents(present, current.entry.name)
    embedder.check_claim(present, current.entry.name, claimable=embedder.may_claim(current))
    if embed is None:
        raise EmbedderRequired(
            "The new text needs a new vector, but the store has no embedder. "
            "Open the store with embedder=…, or give vector=… too (None removes the old one if vectors are optional)."
        )
    made = embed([text], label=lambda _: "The new text")
    is_unknown = bool(find_unknown(made, ["The new text"], schema))
    vector = None if is_unknown else as_matrix(list(made), schema, ["The new text"])[0]
    embedder.claim(current, present)
    return vector, is_unknown
