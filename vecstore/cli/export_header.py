"""The stores that the files of one `vecstore add` were exported from, compared with one another and with the target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..embedders.identity import Identity
from ..exports.header import ExportHeader as ExportHeader
from ..exports.header import is_header as is_header
from ..exports.header import read_parquet_header as read_parquet_header
from ..store import VectorStore
from .exits import Failure

if TYPE_CHECKING:
    from ..embedders.base import Embedder


def check_embedder(header: ExportHeader, embedder: Embedder) -> None:
    """Refuse another model than the one that filled the store.

    Raises
    ------
    Failure
    """
    found = Identity.of(embedder)
    if header.identity is not None and not header.identity.matches(found, header.schema.metric):
        raise Failure(
            f"{header.place} was exported from a store that was filled with {header.identity.name}, not with "
            f"{found.name}. Name that model with --embedder, or export with --no-vectors --no-header to embed the "
            "texts with another one."
        )


def find_origin(headers: Iterable[ExportHeader | None]) -> ExportHeader | None:
    """Return the store that all exports of one command describe.

    Raises
    ------
    Failure
        Two of them describe different stores.
    """
    found: ExportHeader | None = None
    for header in headers:
        if header is None:
            continue
        if found is not None and not found.describes_same(header):
            raise Failure(
                f"{found.place} and {header.place} were exported from stores that differ: "
                f"{_list_differences(found, header)}. Add them to stores of their own."
            )
        found = found or header
    return found


def check_existing(store: VectorStore, header: ExportHeader) -> list[str]:
    """Check an export that is added to an existing store, and return notes about what differs.

    Raises
    ------
    Failure
        Vectors of another dimension or another model.
    """
    schema, identity = store.schema, store.embedder_identity
    if header.vectors and schema.dim != header.schema.dim:
        raise Failure(
            f"{header.place} has vectors of {header.schema.dim} dimensions, and store {store.name!r} has {schema.dim}. "
            "Add it to a store of its own, or export it with --no-vectors --no-header to embed its texts again."
        )
    if header.vectors and identity and header.identity and not identity.matches(header.identity, schema.metric):
        raise Failure(
            f"{header.place} has vectors of {header.identity.name}, and store {store.name!r} was filled with "
            f"{identity.name}. Add it to a store of its own, or export it with --no-vectors --no-header to embed its "
            "texts again."
        )
    differences = schema.differences(header.schema.with_dim(schema.width))
    if not differences:
        return []
    return [
        f"Store {store.name!r} differs from the one that {header.place} was exported from: {'; '.join(differences)}."
    ]


def _list_differences(one: ExportHeader, other: ExportHeader) -> str:
    differences = one.schema.differences(other.schema)
    if one.schema.index != other.schema.index:
        differences.append("their index options differ")
    return "; ".join(differences) or "they were filled with other models"
