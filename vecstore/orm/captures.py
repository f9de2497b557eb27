"""What the triggers of one declaration note, said without its model: whatever they are made from.

A migration that makes triggers must make the same ones in a year, when the models are others. So it names what is
here, and the triggers carry it along in the database, where the next migration reads what the last one made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import JSON, Column, MetaData, String, Table, TypeDecorator, Uuid

from .outbox import OUTBOX, Outbox
from .related_tables import RelatedTable
from .searched_models import SearchedModel

MARK = "vecstore "
"""What a description in the database begins with."""
KEY_KINDS = ("number", "text", "uuid")
WATCHED_KINDS = ("other", "text")
_NAMES = ("target", "table", "keys", "watched", "schema", "outbox", "outbox_schema")
_OF_RELATED = ("identity", "through")


@dataclass(frozen=True, slots=True)
class Capture:
    """What the triggers on one table note, and where.

    Attributes
    ----------
    target : str
        The name of the declaration in the outbox.
    table : str
    keys : mapping of str to str
        The columns of the primary key, each ``"number"``, ``"text"`` or ``"uuid"``. On a related table those that refer
        to it, in the same order; with ``through``, those of that table.
    watched : mapping of str to str
        The columns whose change counts: ``"text"`` where texts are compared by their bytes, or ``"other"``.
    schema : str or None
    outbox : str
    outbox_schema : str or None
    identity : sequence of str
        On a related table, the columns of its own primary key; empty on the table of the declaration.
    through : mapping or None
        The table between a related one and the keys: ``table``, ``schema`` and ``match``, a mapping of its columns to
        those of the related table.
    """

    target: str
    table: str
    keys: Mapping[str, str]
    watched: Mapping[str, str]
    schema: str | None = None
    outbox: str = OUTBOX
    outbox_schema: str | None = None
    identity: Sequence[str] = ()
    through: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """What tells the triggers of a declaration on one table from those on another one."""
        if not self.identity:
            return self.target
        between = ""
        if self.through is not None:
            pairs = " and ".join(f"{far} = {own}" for far, own in self.through["match"].items())
            between = f" through {_join_name(self.through['table'], self.through['schema'])} by {pairs}"
        return f"{self.target} by {_join_name(self.table, self.schema)}{between} ({', '.join(self.keys)})"

    def make_table(self) -> Table:
        """Return the table, without its columns, for its quoted name."""
        return Table(self.table, MetaData(), schema=self.schema)

    def make_outbox(self) -> Table:
        """Return the outbox, without its columns, for its quoted name."""
        return Table(self.outbox, MetaData(), schema=self.outbox_schema)

    def describe(self) -> str:
        """Return the description that the database keeps. It ends no comment of SQL."""
        said = {name: getattr(self, name) for name in _NAMES}
        if self.identity:
            said |= {"identity": list(self.identity), "through": self.through}
        return MARK + json.dumps(
            {name: dict(value) if isinstance(value, Mapping) else value for name, value in said.items()}
        ).replace("/", r"\/")


def make_captures(outbox: Outbox, model: SearchedModel) -> list[Capture]:
    """Return what the triggers of a declaration note: on its own table, and on those that its text depends on."""
    made: dict[str, Capture] = {}
    for capture in (make_capture(outbox, model), *(_make_related(outbox, model, each) for each in model.related)):
        # Two relationships may follow the same columns: what either of them watches is noted by the same triggers.
        same = made.get(capture.id)
        watched = capture.watched if same is None else {**same.watched, **capture.watched}
        made[capture.id] = replace(capture, watched=watched)
    return list(made.values())


def _make_related(outbox: Outbox, model: SearchedModel, related: RelatedTable) -> Capture:
    kinds = map(_find_key_kind, model.keys.columns)
    through = related.through
    return Capture(
        model.name,
        related.table.name,
        {column.name: kind for column, kind in zip(related.keys, kinds, strict=True)},
        {column.name: _find_watched_kind(column) for column in related.watched},
        related.table.schema,
        outbox.rows.name,
        outbox.rows.schema,
        tuple(column.name for column in related.identity),
        None
        if through is None
        else {
            "table": through.name,
            "schema": through.schema,
            "match": {column.name: own.name for column, own in related.match},
        },
    )


def make_capture(outbox: Outbox, model: SearchedModel) -> Capture:
    """Return what the triggers on the table of a declaration note."""
    return Capture(
        model.name,
        model.table.name,
        {column.name: _find_key_kind(column) for column in model.keys.columns},
        {column.name: _find_watched_kind(column) for column in model.watched},
        model.table.schema,
        outbox.rows.name,
        outbox.rows.schema,
    )


def parse_description(text: str | None) -> Capture | None:
    """Return what `Capture.describe` said; None for anything else."""
    if text is None or not text.startswith(MARK):
        return None
    try:
        said: Any = json.loads(text.removeprefix(MARK))
    except ValueError:
        return None
    if not isinstance(said, dict) or set(said) - set(_OF_RELATED) != set(_NAMES):
        return None
    return Capture(**{**said, "identity": tuple(said.get("identity", ()))})


def _join_name(table: str, schema: str | None) -> str:
    return table if schema is None else f"{schema}.{table}"


def _find_key_kind(column: Column[Any]) -> str:
    if isinstance(column.type, Uuid):
        return "uuid"
    return "text" if isinstance(column.type, String) else "number"


def _find_watched_kind(column: Column[Any]) -> str:
    # Collations may take texts for equal, and json has no equality.
    type_ = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return "text" if isinstance(type_, String | JSON) else "other"


def list_kinds(kinds: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """Return the kinds that are none of those with these names."""
    return [kind for kind in kinds.values() if kind not in names]
