"""What an export says about its store, so that `vecstore add` makes the same one.

In JSON lines it is the first line, an object whose only key is ``vecstore``; in Parquet it is metadata of the file
under that key. It holds the schema and the identity of the embedder. It comes from outside, so all of it is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..embedders.identity import Identity
from ..errors import InvalidArgument, MissingExtra, StoreCorrupt
from ..schema import Schema
from ..store import VectorStore
from .exits import Failure

if TYPE_CHECKING:
    from ..embedders.base import Embedder

KEY = "vecstore"
FORMAT = 1
_MEMBERS = frozenset({"format", "schema", "embedder", "vectors"})
_SHOWN = 300


@dataclass(frozen=True)
class ExportHeader:
    """The store that a file was exported from.

    Attributes
    ----------
    place : str
        The file, for messages.
    schema : Schema
    identity : Identity or None
        None if the store does not know which model made its vectors.
    vectors : bool
        Whether the records have their vectors.
    """

    place: str
    schema: Schema
    identity: Identity | None
    vectors: bool

    @classmethod
    def describe(cls, store: VectorStore, *, vectors: bool) -> ExportHeader:
        """Return the header of an export of a store."""
        return cls(store.name, store.schema, store.embedder_identity, vectors)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], place: str) -> ExportHeader:
        """Read and check a header.

        Raises
        ------
        Failure
        """
        content = value[KEY]
        if not isinstance(content, dict):
            raise _report_damage(place, "it is not an object")
        number = content.get("format")
        if type(number) is int and number > FORMAT:
            raise Failure(
                f"{place}: the export has format {number}, and this vecstore reads up to {FORMAT}. Install a newer "
                "vecstore, or export again with --no-header."
            )
        if type(number) is not int or number < 1:
            raise _report_damage(place, "its format is not a number")
        if set(content) != _MEMBERS or type(content["vectors"]) is not bool:
            raise _report_damage(place, f"it should have exactly {', '.join(sorted(_MEMBERS))}")
        try:
            schema = Schema.from_dict(content["schema"])
            identity = None if content["embedder"] is None else Identity.from_json(content["embedder"])
        except (InvalidArgument, StoreCorrupt) as error:
            raise _report_damage(place, str(error)[:_SHOWN].rstrip(".")) from error
        if schema.dim is None or schema.to_dict() != content["schema"]:
            raise _report_damage(place, "its schema has parts that this vecstore does not know")
        if identity is not None and identity.canaries.shape[2] != schema.dim:
            raise _report_damage(place, "its model has other dimensions than its schema")
        return cls(place, schema, identity, content["vectors"])

    def to_json(self) -> dict[str, Any]:
        """Return the header as JSON data."""
        return {
            KEY: {
                "format": FORMAT,
                "schema": self.schema.to_dict(),
                "embedder": self.identity and self.identity.to_json(),
                "vectors": self.vectors,
            }
        }

    @property
    def config(self) -> Mapping[str, Any] | None:
        """The config of the model."""
        return self.identity.config if self.identity else None

    def describes_same(self, other: ExportHeader) -> bool:
        """Say whether records of both belong into one store."""
        if self.schema != other.schema or (self.identity is None) != (other.identity is None):
            return False
        return (
            self.identity is None or other.identity is None or self.identity.matches(other.identity, self.schema.metric)
        )

    def check_embedder(self, embedder: Embedder) -> None:
        """Refuse another model than the one that filled the store.

        Raises
        ------
        Failure
        """
        found = Identity.of(embedder)
        if self.identity is not None and not self.identity.matches(found, self.schema.metric):
            raise Failure(
                f"{self.place} was exported from a store that was filled with {self.identity.name}, not with "
                f"{found.name}. Name that model with --embedder, or export with --no-vectors --no-header to embed the "
                "texts with another one."
            )

    @property
    def store_schema(self) -> Schema:
        """The schema of a store made from this export; without dim if there are no vectors and no model."""
        return self.schema if self.vectors or self.identity else replace(self.schema, dim=None)


def is_header(value: object) -> bool:
    """Say whether a line of JSON is a header, which no record can be, because it has no id."""
    return isinstance(value, dict) and set(value) == {KEY}


def read_parquet_header(path: Path) -> dict[str, Any] | None:
    """Return the header of a Parquet file, or None if it has none."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    try:
        text = (parquet.read_schema(path).metadata or {}).get(KEY.encode())
    except (pa.ArrowException, ValueError):
        return None  # reading the records says what is wrong
    if text is None:
        return None
    try:
        return {KEY: json.loads(text, parse_constant=_refuse)}
    except (ValueError, RecursionError):
        return {KEY: None}


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


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


def _report_damage(place: str, reason: str) -> Failure:
    return Failure(f"{place}: the line that describes the exported store is damaged: {reason}.")
