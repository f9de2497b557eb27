"""Triggers that note changed rows in the outbox, in the transaction that changes them, whoever does it.

They are created and dropped together with the tables of the application. Their names contain a digest of what they do,
so that a trigger of an earlier declaration is recognised and replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import DDL, JSON, Column, Connection, MetaData, String, Table, TypeDecorator, Uuid, event, inspect, text
from sqlalchemy.engine import Dialect

from ..errors import Unsupported
from .outbox import CLOCKS, Outbox
from .searched_models import SearchedModel


@dataclass(frozen=True, slots=True)
class CaptureTriggers:
    """The triggers of one declaration in one database.

    Attributes
    ----------
    relation : str
        The quoted name of the table.
    names : tuple of str
    prepare : tuple of str
        Statements that come first.
    create : callable
        From the quoted name of the table, or of a partition, to the statements that make them there.
    drop : callable
        From the name of a trigger and that of its table to the statement that drops it.
    clean : tuple of str
        Statements that remove the rest once the triggers are gone.
    """

    relation: str
    names: tuple[str, ...]
    prepare: tuple[str, ...]
    create: Callable[[str], list[str]]
    drop: Callable[[str, str], str]
    clean: tuple[str, ...] = ()


def attach_triggers(metadata: MetaData, outbox: Outbox, models: Sequence[SearchedModel]) -> None:
    """Let ``create_all`` make the triggers, also on tables that are there already, and ``drop_all`` drop them."""

    def create(target: MetaData, connection: Connection, **details: Any) -> None:
        for model in models:
            install_triggers(connection, outbox, model)

    def drop(target: MetaData, connection: Connection, tables: Sequence[Table] = (), **details: Any) -> None:
        for model in models:
            if model.table in tables:
                for statement in make_triggers(connection.dialect, outbox, model).clean:
                    _execute(connection, statement)

    event.listen(metadata, "after_create", create)
    event.listen(metadata, "after_drop", drop)


def install_triggers(connection: Connection, outbox: Outbox, model: SearchedModel) -> None:
    """Create the triggers of a declaration where they are missing, and drop those of an earlier form of it.

    A connection that only writes statements down gets all of them, but for those of partitions, which it cannot know.

    Raises
    ------
    Unsupported
    """
    wanted = make_triggers(connection.dialect, outbox, model)
    is_live = isinstance(connection, Connection)
    if is_live and not all(_exists(connection, table) for table in (model.table, outbox.rows)):
        return  # without an outbox a trigger would refuse every change
    made = False
    for relation in _list_relations(connection, model.table) if is_live else [wanted.relation]:
        listed = _list_on(connection, relation) if is_live else []
        present = {name for name in listed if name.startswith(_make_stem(model))}
        if set(wanted.names) <= present:
            continue
        for statement in () if made else wanted.prepare:
            _execute(connection, statement)
        made = True
        for name in sorted(present):
            _execute(connection, wanted.drop(name, relation))
        for statement in wanted.create(relation):
            _execute(connection, statement)


def _exists(connection: Connection, table: Table) -> bool:
    return inspect(connection).has_table(table.name, schema=table.schema)


def find_missing_triggers(connection: Connection, outbox: Outbox, model: SearchedModel) -> list[str]:
    """Return the names of the triggers that the table of a declaration, or a partition of it, does not have."""
    wanted = make_triggers(connection.dialect, outbox, model).names
    return [
        name
        for relation in _list_relations(connection, model.table)
        for name in wanted
        if name not in _list_on(connection, relation)
    ]


def list_triggers(connection: Connection, table: Table) -> list[str]:
    """Return the names of all triggers on a table."""
    return _list_on(connection, connection.dialect.identifier_preparer.format_table(table))


def _list_relations(connection: Connection, table: Table) -> list[str]:
    """Return the quoted names of a table and of its partitions: a statement may name one of these."""
    name = connection.dialect.identifier_preparer.format_table(table)
    if connection.dialect.name == "sqlite":
        return [name]
    tree = text("SELECT relid::regclass::text FROM pg_partition_tree(to_regclass(:name))")
    return list(connection.execute(tree, {"name": name}).scalars()) or [name]


def _list_on(connection: Connection, relation: str) -> list[str]:
    if connection.dialect.name == "sqlite":
        listed = text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name")
        return list(connection.execute(listed, {"name": relation.strip('"').replace('""', '"')}).scalars())
    listed = text("SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal")
    return list(connection.execute(listed, {"name": relation}).scalars())


def make_triggers(dialect: Dialect, outbox: Outbox, model: SearchedModel) -> CaptureTriggers:
    """Return the triggers of a declaration.

    Raises
    ------
    Unsupported
        The engine has none that this module knows.
    """
    if dialect.name not in _MAKERS:
        raise Unsupported(
            "capturing changes by triggers", dialect.name, "vecstore.orm works with PostgreSQL and SQLite."
        )
    return _MAKERS[dialect.name](dialect, outbox, model)


def _make_sqlite(dialect: Dialect, outbox: Outbox, model: SearchedModel) -> CaptureTriggers:
    if model.table.schema is not None:
        raise Unsupported("triggers across attached databases", "sqlite", "Give the table no schema.")
    quote = dialect.identifier_preparer.quote
    table, target = quote(model.table.name), quote(outbox.rows.name)
    name = _quote_text(dialect, model.name)

    def format_key(row: str) -> str:
        return f"json_array({', '.join(f'{row}.{quote(column.name)}' for column in model.keys.columns)})"

    def differ(columns: Sequence[Column[Any]]) -> str:
        # By bytes, whatever the column's own collation takes for equal.
        return " OR ".join(f"OLD.{quote(c.name)} IS NOT NEW.{quote(c.name)} COLLATE BINARY" for c in columns)

    def note(row: str) -> str:
        return f"INSERT INTO {target} (target, key, entered) SELECT {name}, {format_key(row)}, {CLOCKS['sqlite']}"

    watched = list(dict.fromkeys([*model.keys.columns, *model.watched]))
    bodies = {
        "insert": f"AFTER INSERT ON {table} BEGIN {note('NEW')}; END",
        "update": (
            # Not UPDATE OF: a generated column changes without being named by the statement.
            f"AFTER UPDATE ON {table} WHEN {differ(watched)} BEGIN {note('NEW')}; "
            f"{note('OLD')} WHERE {differ(model.keys.columns)}; END"
        ),
        "delete": f"AFTER DELETE ON {table} BEGIN {note('OLD')}; END",
    }
    names = _make_names(model, bodies)
    return CaptureTriggers(
        table,
        tuple(names.values()),
        (),
        lambda relation: [f"CREATE TRIGGER {quote(names[event])} {body}" for event, body in bodies.items()],
        lambda name, relation: f"DROP TRIGGER {quote(name)}",
    )


def _make_postgres(dialect: Dialect, outbox: Outbox, model: SearchedModel) -> CaptureTriggers:
    preparer = dialect.identifier_preparer
    quote, table, target = preparer.quote, preparer.format_table(model.table), preparer.format_table(outbox.rows)
    keys = model.keys.columns
    old, new = "vecstore_old", "vecstore_new"

    def format_key(row: str) -> str:
        pieces = (_format_piece(column, f"{row}.{quote(column.name)}") for column in keys)
        return f"'[' || {' || chr(44) || '.join(pieces)} || ']'"

    def note(key: str, rows: str) -> str:
        return (
            f"INSERT INTO {target} (target, key, entered) "  # noqa: S608 - names are quoted
            f"SELECT {_quote_text(dialect, model.name)}, {key}, extract(epoch FROM now()) FROM {rows};"
        )

    first = quote(keys[0].name)
    same_key = " AND ".join(f"o.{quote(c.name)} = n.{quote(c.name)}" for c in keys)
    changed = " OR ".join(
        f"{_compare_by_bytes(c, f'o.{quote(c.name)}')} IS DISTINCT FROM {_compare_by_bytes(c, f'n.{quote(c.name)}')}"
        for c in model.watched
    )
    either = f"CASE WHEN n.{first} IS NULL THEN {format_key('o')} ELSE {format_key('n')} END"
    pairs = f"{old} o FULL JOIN {new} n ON {same_key} WHERE o.{first} IS NULL OR n.{first} IS NULL OR {changed}"
    body = (
        f"BEGIN IF TG_OP = 'INSERT' THEN {note(format_key('n'), f'{new} n')} "
        f"ELSIF TG_OP = 'DELETE' THEN {note(format_key('o'), f'{old} o')} "
        f"ELSE {note(either, pairs)} END IF; RETURN NULL; END"
    )
    tables = {
        "insert": f"REFERENCING NEW TABLE AS {new}",
        "update": f"REFERENCING OLD TABLE AS {old} NEW TABLE AS {new}",
        "delete": f"REFERENCING OLD TABLE AS {old}",
    }
    names = _make_names(model, dict.fromkeys(tables, body))
    schema = "" if model.table.schema is None else f"{preparer.quote_schema(model.table.schema)}."
    function = f"{schema}{quote(f'{_make_stem(model)}run')}"
    tag = "$vecstore$"
    # The search path of whoever changes a row may lead elsewhere.
    make = (
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT "
        f"AS {tag}{body}{tag}"
    )
    return CaptureTriggers(
        table,
        tuple(names.values()),
        (make,),
        lambda relation: [
            f"CREATE TRIGGER {quote(names[event])} AFTER {event.upper()} ON {relation} {referencing} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            for event, referencing in tables.items()
        ],
        lambda name, relation: f"DROP TRIGGER {quote(name)} ON {relation}",
        (f"DROP FUNCTION IF EXISTS {function}()",),
    )


_MAKERS: Mapping[str, Callable[[Dialect, Outbox, SearchedModel], CaptureTriggers]] = MappingProxyType(
    {"postgresql": _make_postgres, "sqlite": _make_sqlite}
)


def _format_piece(column: Column[Any], value: str) -> str:
    """Return a value of a key as JSON, in the same form as SQLite's ``json_array``."""
    if isinstance(column.type, Uuid):
        return f"'\"' || {value}::text || '\"'"
    if isinstance(column.type, String):
        return f"to_json({value}::text)::text"
    return f"{value}::text"


def _compare_by_bytes(column: Column[Any], value: str) -> str:
    """Return a value as what tells every change: collations may take texts for equal, and json has no equality."""
    type_ = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return f'{value}::text COLLATE "C"' if isinstance(type_, String | JSON) else value


def _make_stem(model: SearchedModel) -> str:
    digest = hashlib.sha256(model.name.encode()).hexdigest()[:8]
    return f"vecstore_{model.table.name[:20]}_{digest}_"


def _make_names(model: SearchedModel, bodies: Mapping[str, str]) -> dict[str, str]:
    digest = hashlib.sha256("".join(bodies.values()).encode()).hexdigest()[:8]
    return {each: f"{_make_stem(model)}{digest}_{each}" for each in bodies}


def _quote_text(dialect: Dialect, value: str) -> str:
    return String().dialect_impl(dialect).literal_processor(dialect)(value)  # type: ignore[misc]


def _execute(connection: Connection, statement: str) -> None:
    connection.execute(DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
