"""The keys that a store's metadata has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .backend import Backend, Generation
from .filters.key_values import KeyValue
from .filters.nodes import Filter
from .rows.tallies import rank_undeclared, tally_keys, tally_undeclared

PAGE = 5_000

_CLASSES: Mapping[str, str] = MappingProxyType(
    {"keyword": "str", "keywords": "list", "int": "number", "float": "number", "bool": "bool", "datetime": "datetime"}
)
"""The class of the values of each kind of field."""


@dataclass(frozen=True, slots=True)
class MetadataKey:
    """A key of the metadata of at least one record, or of a declared field.

    Attributes
    ----------
    name : str
    count : int
        Records that have a value under the key.
    classes : mapping of str to int
        How many of the values are of each class: ``str``, ``number``, ``bool``, ``list``, ``object``, and ``datetime``
        for a declared date.
    field : str or None
        The kind of the field, such as ``"keyword"``, if the key is declared.
    """

    name: str
    count: int
    classes: Mapping[str, int]
    field: str | None = None


def read_values(
    backend: Backend, generation: Generation, key: str, where: Filter | None, limit: int | None
) -> list[tuple[Any, int]]:
    """Return the values of an undeclared key among the matching records, each with the number of records."""
    counts, after = Counter[KeyValue](), None
    while len(rows := backend.page(generation, where, after, PAGE, frozenset({"metadata"}))):
        tally_undeclared(rows.extras or (), key, counts)
        after = rows.ids[-1]
    return rank_undeclared(counts, limit)


def read_keys(backend: Backend, generation: Generation) -> list[MetadataKey]:
    """Return the keys of a generation in the order of their counts and names."""
    fields, counts = generation.schema.fields, Counter[tuple[str, str]]()
    after: str | None = None
    while len(rows := backend.page(generation, None, after, PAGE, frozenset({"metadata"}))):
        for name, column in (rows.fields or {}).items():
            counts[name, _CLASSES[fields[name].kind]] += sum(value is not None for value in column)
        tally_keys(rows.extras or (), counts)
        after = rows.ids[-1]
    classes: dict[str, dict[str, int]] = {name: {} for name in fields}
    for (name, kind), count in sorted(counts.items()):
        classes.setdefault(name, {}).update({kind: count} if count else {})
    found = [
        MetadataKey(name, sum(each.values()), each, fields[name].kind if name in fields else None)
        for name, each in classes.items()
    ]
    return sorted(found, key=lambda key: (-key.count, key.name))
