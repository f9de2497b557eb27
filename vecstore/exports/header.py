"""What an export says about its store, so that the same one can be made of it.

In JSON lines it is the first line, an object whose only key is ``vecstore``; in Parquet it is metadata of the file
under that key. It holds the schema and the identity of the embedder, and in Parquet the number of records and their
digest. It comes from outside, so all of it is checked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..columns.arrow_input import import_pyarrow
from ..embedders.identity import Identity
from ..errors import InvalidArgument, StoreCorrupt
from ..schema import Schema

KEY = "vecstore"
FORMAT = 2
"""The newest format: 1 has neither number nor digest of the records."""
_MEMBERS = frozenset({"format", "schema", "embedder", "vectors"})
_PROOF = frozenset({"records", "digest"})
_DIGEST = re.compile("[0-9a-f]{64}")
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
    records : int or None
        How many there are; None where that is not known.
    digest : str or None
        Of the records, without vectors where they have none; None where it is not known.
    """

    place: str
    schema: Schema
    identity: Identity | None
    vectors: bool
    records: int | None = None
    digest: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any], place: str) -> ExportHeader:
        """Read and check a header.

        Raises
        ------
        InvalidArgument
        """
        content = value[KEY]
        if not isinstance(content, dict):
            raise _report_damage(place, "it is not an object")
        number = content.get("format")
        if type(number) is int and number > FORMAT:
            raise InvalidArgument(
                f"{place}: the export has format {number}, and this vecstore reads up to {FORMAT}. Install a newer "
                "vecstore, or export again with --no-header."
            )
        if type(number) is not int or number < 1:
            raise _report_damage(place, "its format is not a number")
        members = _MEMBERS if number == 1 else _MEMBERS | _PROOF
        if set(content) != members or type(content["vectors"]) is not bool:
            raise _report_damage(place, f"it should have exactly {', '.join(sorted(members))}")
        records, digest = content.get("records"), content.get("digest")
        if number > 1 and (type(records) is not int or type(digest) is not str or not _DIGEST.fullmatch(digest)):
            raise _report_damage(place, "its number of records is no number, or its digest no digest")
        try:
            schema = Schema.from_dict(content["schema"])
            identity = None if content["embedder"] is None else Identity.from_json(content["embedder"])
        except (InvalidArgument, StoreCorrupt) as error:
            raise _report_damage(place, str(error)[:_SHOWN].rstrip(".")) from error
        if schema.dim is None or schema.to_dict() != content["schema"]:
            raise _report_damage(place, "its schema has parts that this vecstore does not know")
        if identity is not None and identity.canaries.shape[2] != schema.dim:
            raise _report_damage(place, "its model has other dimensions than its schema")
        return cls(place, schema, identity, content["vectors"], records, digest)

    def to_json(self) -> dict[str, Any]:
        """Return the header as JSON data."""
        proof = {} if self.digest is None else {"records": self.records, "digest": self.digest}
        return {
            KEY: {
                "format": FORMAT if proof else 1,
                "schema": self.schema.make_portable().to_dict(),
                "embedder": self.identity and self.identity.to_json(),
                "vectors": self.vectors,
                **proof,
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

    @property
    def store_schema(self) -> Schema:
        """The schema of a store made from this export; without dim if there are no vectors and no model."""
        return self.schema if self.vectors or self.identity else replace(self.schema, dim=None)


def is_header(value: object) -> bool:
    """Say whether a line of JSON is a header, which no record can be, because it has no id."""
    return isinstance(value, dict) and set(value) == {KEY}


def read_parquet_header(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the header of a Parquet file, or None if it has none.

    Raises
    ------
    MissingExtra
    """
    pa = import_pyarrow()
    from pyarrow import parquet

    try:
        text = (parquet.read_metadata(path).metadata or {}).get(KEY.encode())
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


def _report_damage(place: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"{place}: the line that describes the exported store is damaged: {reason}.")
