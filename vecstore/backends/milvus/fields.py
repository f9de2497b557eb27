"""Declared fields as columns of a collection: a typed one with a default, and a flag whether there is a value.

Filters never meet a missing value of the engine's own: what its comparisons mean for one differs from version to
version, and older servers have none. Undeclared metadata is not held; a filter on it is answered elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from vecstore.fields import MAX_KEYWORD_BYTES, MAX_KEYWORDS, Field, Stored
from vecstore.ids import MAX_ID_BYTES
from vecstore.metric import Metric
from vecstore.schema import Schema

ID, VECTOR, STAMP = "id", "vector", "stamp"
MAX_FIELDS = 30
"""Declared fields that a collection holds: two columns for each, of 64 that the server allows (2.3.5)."""


@dataclass(frozen=True, slots=True)
class CollectionColumn:
    """A column of a collection.

    Attributes
    ----------
    name : str
    type : str
        As the protocol calls it: ``VarChar``, ``Int64``, ``Double``, ``Bool``, ``FloatVector`` or ``Array``.
    settings : mapping of str to int
        Such as ``max_length``, in bytes.
    element : str or None
        The type of the elements of an ``Array``.
    """

    name: str
    type: str
    settings: Mapping[str, int] = field(default_factory=dict)
    element: str | None = None


@dataclass(frozen=True, slots=True)
class FieldType:
    """How a kind of field is held.

    Attributes
    ----------
    make : callable
        From a name to the column.
    missing : stored form
        What stands in the column where there is no value.
    """

    make: Callable[[str], CollectionColumn]
    missing: Stored


def _make_keyword(name: str) -> CollectionColumn:
    return CollectionColumn(name, "VarChar", {"max_length": MAX_KEYWORD_BYTES})


def _make_keywords(name: str) -> CollectionColumn:
    return CollectionColumn(name, "Array", {"max_length": MAX_KEYWORD_BYTES, "max_capacity": MAX_KEYWORDS}, "VarChar")


def _make_integer(name: str) -> CollectionColumn:
    return CollectionColumn(name, "Int64")


FIELDS: Mapping[str, FieldType] = MappingProxyType(
    {
        "keyword": FieldType(_make_keyword, ""),
        "keywords": FieldType(_make_keywords, ()),
        "int": FieldType(_make_integer, 0),
        "datetime": FieldType(_make_integer, 0),
        "float": FieldType(lambda name: CollectionColumn(name, "Double"), 0.0),
        "bool": FieldType(lambda name: CollectionColumn(name, "Bool"), False),
    }
)
"""By ``Field.kind``."""


def name_value(field: str) -> str:
    """Return the name of the column that holds a field's values."""
    return f"f_{field}"


def name_presence(field: str) -> str:
    """Return the name of the column that says where a field has a value."""
    return f"h_{field}"


@dataclass(frozen=True)
class CollectionLayout:
    """What a collection holds of a generation.

    Attributes
    ----------
    dim : int
    metric : Metric
    held : mapping of str to Field
        Declared fields that the collection holds, in the order of their columns.
    """

    dim: int
    metric: Metric
    held: Mapping[str, Field]

    def list_columns(self) -> list[CollectionColumn]:
        """Return the columns of the collection, the primary key first."""
        fixed = [
            CollectionColumn(ID, "VarChar", {"max_length": MAX_ID_BYTES}),
            CollectionColumn(VECTOR, "FloatVector", {"dim": self.dim}),
            CollectionColumn(STAMP, "Int64"),
        ]
        for name, declared in self.held.items():
            fixed += [FIELDS[declared.kind].make(name_value(name)), CollectionColumn(name_presence(name), "Bool")]
        return fixed

    def fill_columns(
        self, fields: Mapping[str, Sequence[Stored | None]], rows: int
    ) -> list[tuple[CollectionColumn, Sequence[Any]]]:
        """Return the values of the columns of declared fields, with a default and a flag for what is missing.

        Parameters
        ----------
        fields : mapping of str to sequence
            As in `vecstore.backend.Rows`; a field that is not in it is missing everywhere.
        rows : int
        """
        filled: list[tuple[CollectionColumn, Sequence[Any]]] = []
        for name, declared in self.held.items():
            kind = FIELDS[declared.kind]
            values = fields[name] if name in fields else [None] * rows
            filled.append((kind.make(name_value(name)), [kind.missing if each is None else each for each in values]))
            filled.append((CollectionColumn(name_presence(name), "Bool"), [each is not None for each in values]))
        return filled


def plan_layout(schema: Schema) -> CollectionLayout:
    """Return what a collection holds of a generation with this schema: the first fields by name, if there are many."""
    names = sorted(schema.fields)[:MAX_FIELDS]
    return CollectionLayout(
        schema.width, schema.metric, MappingProxyType({name: schema.fields[name] for name in names})
    )
