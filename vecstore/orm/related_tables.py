"""Tables that the text of a row depends on: how a change there leads to the keys of the rows that it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import Mapper, RelationshipProperty
from sqlalchemy.orm.interfaces import MANYTOONE, ONETOMANY

from ..errors import InvalidArgument, close_matches

Pairs = Sequence[tuple[Any, Any]]
"""Of columns; a relationship says less about them."""


@dataclass(frozen=True, slots=True)
class RelatedTable:
    """A table whose changes are noted as changes of the rows that they concern.

    Attributes
    ----------
    table : Table
    keys : tuple of Column
        The values of the key of a concerned row, in the order of its columns: here, or in the table between.
    watched : tuple of Column
        Columns whose change counts.
    identity : tuple of Column
        By which an old row and a new one are the same.
    through : Table or None
        The table between, which has the keys.
    match : tuple of pairs of Column
        A column of the table between, and the one here that it refers to.
    """

    table: Table
    keys: tuple[Column[Any], ...]
    watched: tuple[Column[Any], ...]
    identity: tuple[Column[Any], ...]
    through: Table | None = None
    match: tuple[tuple[Column[Any], Column[Any]], ...] = ()


def find_related(
    mapper: Mapper[Any], keys: Sequence[Column[Any]], names: Iterable[str], label: str
) -> Iterator[RelatedTable | Column[Any]]:
    """Yield the tables that a text depends on, and columns of its own table that lead to them.

    Parameters
    ----------
    mapper : Mapper
    keys : sequence of Column
        The primary key.
    names : iterable of str
        ``"author.name"``: a relationship, and an attribute of the class behind it.
    label : str
        What messages call the declaration.

    Raises
    ------
    InvalidArgument
    """
    attributes: dict[str, list[str]] = {}
    for name in names:
        relationship, _, attribute = name.partition(".")
        attributes.setdefault(relationship, []).append(attribute)
    for name, listed in attributes.items():
        found = mapper.relationships.get(name)
        if found is None:
            known = mapper.relationships.keys()
            raise InvalidArgument(
                f"{label}: depends_on: there is no relationship {name!r}.{close_matches(name, known)}"
            )
        watched = [_find_column(found.mapper, attribute, f"{label}: depends_on: {name}.") for attribute in listed]
        yield from _follow(found, keys, watched, f"{label}: depends_on: {name!r}")


def _follow(
    found: RelationshipProperty[Any], keys: Sequence[Column[Any]], watched: Sequence[Column[Any]], label: str
) -> Iterator[RelatedTable | Column[Any]]:
    table: Any = found.mapper.local_table
    identity: tuple[Any, ...] = tuple(found.mapper.primary_key)
    if found.direction is ONETOMANY:
        own = _order(found.synchronize_pairs, keys, label)
        yield RelatedTable(table, own, _join(own, watched), identity)
    elif found.direction is MANYTOONE:
        pairs: Pairs = [(own, far) for far, own in found.synchronize_pairs]
        yield from (own for own, _ in pairs)
        between: Any = keys[0].table
        watched = _join([far for _, far in pairs], watched)
        yield RelatedTable(table, tuple(keys), watched, identity, between, tuple(pairs))
    else:
        link: Any = found.secondary
        own = _order(found.synchronize_pairs, keys, label)
        pairs = [(near, far) for far, near in found.secondary_synchronize_pairs or ()]
        links = _join(own, [near for near, _ in pairs])
        yield RelatedTable(link, own, links, tuple(link.primary_key.columns) or links)
        yield RelatedTable(table, own, _join([far for _, far in pairs], watched), identity, link, tuple(pairs))


def _order(pairs: Pairs, keys: Sequence[Column[Any]], label: str) -> tuple[Column[Any], ...]:
    """Return the columns that refer to the key, in its order."""
    by_key = dict(pairs)
    if set(by_key) != set(keys):
        raise InvalidArgument(f"{label} does not refer to the primary key, so that nothing leads from there to a row.")
    return tuple(by_key[column] for column in keys)


def _join(first: Iterable[Column[Any]], second: Iterable[Column[Any]]) -> tuple[Column[Any], ...]:
    return tuple(dict.fromkeys([*first, *second]))


def _find_column(mapper: Mapper[Any], name: str, owner: str) -> Column[Any]:
    column = mapper.columns.get(name)
    if not isinstance(column, Column) or column.table is not mapper.local_table:
        raise InvalidArgument(f"{owner}{name} is no column of its table.{close_matches(name, mapper.columns.keys())}")
    return column
