"""Triggers that note changed rows in the outbox, in the transaction that changes them, whoever does it.

They are created and dropped together with the tables of the application. Their names contain a digest of what they do,
so that a trigger of an earlier declaration is recognised and replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import DDL, Connection, MetaData, String, Table, event, inspect, text
from sqlalchemy.engine import Dialect

from ..errors import Unsupported
from .captures import Capture, parse_description
from .outbox import CLOCKS


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
    forget : tuple of str
        Statements that remove all of it, without a look at what there is.
    """

    relation: str
    names: tuple[str, ...]
    prepare: tuple[str, ...]
    create: Callable[[str], list[str]]
    drop: Callable[[str, str], str]
    clean: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()


def attach_triggers(metadata: MetaData, captures: Sequence[Capture]) -> None:
    """Let ``create_all`` make the triggers, also on tables that are there already, and ``drop_all`` drop them."""

    def create(target: MetaData, connection: Connection, **details: Any) -> None:
        for capture in captures:
            install_triggers(connection, capture)

    def drop(target: MetaData, connection: Connection, tables: Sequence[Table] = (), **details: Any) -> None:
        dropped = {(table.schema, table.name) for table in tables}
        for capture in captures:
            if (capture.schema, capture.table) in dropped:
                for statement in make_triggers(connection.dialect, capture).clean:
                    _execute(connection, statement)

    event.listen(metadata, "after_create", create)
    event.listen(metadata, "after_drop", drop)


def install_triggers(connection: Connection, capture: Capture) -> None:
    """Create the triggers of a declaration where they are missing, and drop those of an earlier form of it.

    A connection that only writes statements down gets all of them, but for those of partitions, which it cannot know.

    Raises
    ------
    Unsupported
    """
    is_live = isinstance(connection, Connection)
    if is_live and not has_tables(connection, capture):
        return  # without an outbox a trigger would refuse every change
    for statement in plan_creation(connection.dialect, capture, connection if is_live else None):
        _execute(connection, statement)


def has_tables(connection: Connection, capture: Capture) -> bool:
    """Say whether the table and the outbox exist."""
    tables = (capture.make_table(), capture.make_outbox())
    return all(inspect(connection).has_table(table.name, schema=table.schema) for table in tables)


def plan_creation(dialect: Dialect, capture: Capture, connection: Connection | None) -> list[str]:
    """Return the statements that make the triggers of a declaration what they should be; without a connection, all."""
    wanted = make_triggers(dialect, capture)
    statements: list[str] = []
    for relation in [wanted.relation] if connection is None else _list_relations(connection, capture.make_table()):
        listed = [] if connection is None else _list_on(connection, relation)
        present = {name for name in listed if name.startswith(make_stem(capture))}
        if set(wanted.names) <= present:
            continue
        statements += [] if statements else wanted.prepare
        statements += [wanted.drop(name, relation) for name in sorted(present)]
        statements += wanted.create(relation)
    return statements


def plan_removal(dialect: Dialect, capture: Capture, connection: Connection | None) -> list[str]:
    """Return the statements that drop the triggers of a declaration, whatever form they have."""
    wanted = make_triggers(dialect, capture)
    if connection is None:
        return [*wanted.forget]
    dropped = [
        wanted.drop(name, relation)
        for relation in _list_relations(connection, capture.make_table())
        for name in _list_on(connection, relation)
        if name.startswith(make_stem(capture))
    ]
    return [*dropped, *wanted.clean]


def find_missing_triggers(connection: Connection, capture: Capture) -> list[str]:
    """Return the names of the triggers that the table of a declaration, or a partition of it, does not have."""
    wanted = make_triggers(connection.dialect, capture).names
    return [
        name
        for relation in _list_relations(connection, capture.make_table())
        for name in wanted
        if name not in _list_on(connection, relation)
    ]


def read_captures(connection: Connection, schemas: Sequence[str] = ()) -> list[Capture]:
    """Return what the triggers in a database note, as they say it themselves.

    Parameters
    ----------
    connection : Connection
    schemas : sequence of str
        Of PostgreSQL; those on the search path are looked at in any case.
    """
    if connection.dialect.name == "sqlite":
        listed = text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name GLOB 'vecstore[_]*'")
        found = [sql.partition("/* ")[2].partition(" */")[0] for sql in connection.execute(listed).scalars()]
    else:
        described = text(
            "SELECT DISTINCT obj_description(p.oid, 'pg_proc') FROM pg_proc p JOIN pg_trigger t ON t.tgfoid = p.oid "
            "JOIN pg_class c ON c.oid = t.tgrelid WHERE starts_with(p.proname, 'vecstore_') "
            "AND (pg_table_is_visible(c.oid) OR c.relnamespace::regnamespace::text = ANY (:schemas))"
        )
        found = list(connection.execute(described, {"schemas": list(schemas)}).scalars())
    captures = (parse_description(each) for each in found)
    return sorted((each for each in captures if each is not None), key=lambda each: each.target)


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


def make_triggers(dialect: Dialect, capture: Capture) -> CaptureTriggers:
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
    return _MAKERS[dialect.name](dialect, capture)


def _make_sqlite(dialect: Dialect, capture: Capture) -> CaptureTriggers:
    if capture.schema is not None:
        raise Unsupported("triggers across attached databases", "sqlite", "Give the table no schema.")
    quote = dialect.identifier_preparer.quote
    table, target = quote(capture.table), quote(capture.outbox)
    name = _quote_text(dialect, capture.target)

    def format_key(row: str) -> str:
        return f"json_array({', '.join(f'{row}.{quote(column)}' for column in capture.keys)})"

    def differ(columns: Iterable[str]) -> str:
        # By bytes, whatever the column's own collation takes for equal.
        return " OR ".join(f"OLD.{quote(each)} IS NOT NEW.{quote(each)} COLLATE BINARY" for each in columns)

    def note(row: str) -> str:
        return f"INSERT INTO {target} (target, key, entered) SELECT {name}, {format_key(row)}, {CLOCKS['sqlite']}"

    watched = list(dict.fromkeys([*capture.keys, *capture.watched]))
    bodies = {
        # The description stays in the text of the trigger, which SQLite keeps.
        "insert": f"AFTER INSERT ON {table} BEGIN /* {capture.describe()} */ {note('NEW')}; END",
        "update": (
            # Not UPDATE OF: a generated column changes without being named by the statement.
            f"AFTER UPDATE ON {table} WHEN {differ(watched)} BEGIN {note('NEW')}; "
            f"{note('OLD')} WHERE {differ(capture.keys)}; END"
        ),
        "delete": f"AFTER DELETE ON {table} BEGIN {note('OLD')}; END",
    }
    names = _make_names(capture, bodies)
    return CaptureTriggers(
        table,
        tuple(names.values()),
        (),
        lambda relation: [f"CREATE TRIGGER {quote(names[event])} {body}" for event, body in bodies.items()],
        lambda name, relation: f"DROP TRIGGER {quote(name)}",
        forget=tuple(f"DROP TRIGGER IF EXISTS {quote(name)}" for name in names.values()),
    )


def _make_postgres(dialect: Dialect, capture: Capture) -> CaptureTriggers:
    preparer = dialect.identifier_preparer
    quote, table = preparer.quote, preparer.format_table(capture.make_table())
    target = preparer.format_table(capture.make_outbox())
    old, new = "vecstore_old", "vecstore_new"

    def format_key(row: str) -> str:
        pieces = (_format_piece(kind, f"{row}.{quote(name)}") for name, kind in capture.keys.items())
        return f"'[' || {' || chr(44) || '.join(pieces)} || ']'"

    def note(key: str, rows: str) -> str:
        return (
            f"INSERT INTO {target} (target, key, entered) "  # noqa: S608 - names are quoted
            f"SELECT {_quote_text(dialect, capture.target)}, {key}, extract(epoch FROM now()) FROM {rows};"
        )

    first = quote(next(iter(capture.keys)))
    same_key = " AND ".join(f"o.{quote(name)} = n.{quote(name)}" for name in capture.keys)
    changed = " OR ".join(
        f"{_compare_by_bytes(kind, f'o.{quote(name)}')} IS DISTINCT FROM {_compare_by_bytes(kind, f'n.{quote(name)}')}"
        for name, kind in capture.watched.items()
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
    names = _make_names(capture, dict.fromkeys(tables, body))
    schema = "" if capture.schema is None else f"{preparer.quote_schema(capture.schema)}."
    function = f"{schema}{quote(f'{make_stem(capture)}run')}"
    tag = "$vecstore$"
    # The search path of whoever changes a row may lead elsewhere.
    make = (
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT "
        f"AS {tag}{body}{tag}"
    )
    return CaptureTriggers(
        table,
        tuple(names.values()),
        (make, f"COMMENT ON FUNCTION {function}() IS {_quote_text(dialect, capture.describe())}"),
        lambda relation: [
            f"CREATE TRIGGER {quote(names[event])} AFTER {event.upper()} ON {relation} {referencing} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            for event, referencing in tables.items()
        ],
        lambda name, relation: f"DROP TRIGGER {quote(name)} ON {relation}",
        (f"DROP FUNCTION IF EXISTS {function}()",),
        (f"DROP FUNCTION IF EXISTS {function}() CASCADE",),
    )


_MAKERS: Mapping[str, Callable[[Dialect, Capture], CaptureTriggers]] = MappingProxyType(
    {"postgresql": _make_postgres, "sqlite": _make_sqlite}
)


def _format_piece(kind: str, value: str) -> str:
    """Return a value of a key as JSON, in the same form as SQLite's ``json_array``."""
    if kind == "uuid":
        return f"'\"' || {value}::text || '\"'"
    if kind == "text":
        return f"to_json({value}::text)::text"
    return f"{value}::text"


def _compare_by_bytes(kind: str, value: str) -> str:
    """Return a value as what tells every change: collations may take texts for equal, and json has no equality."""
    return f'{value}::text COLLATE "C"' if kind == "text" else value


def make_stem(capture: Capture) -> str:
    """Return what the names of a declaration's triggers begin with."""
    digest = hashlib.sha256(capture.target.encode()).hexdigest()[:8]
    return f"vecstore_{capture.table[:20]}_{digest}_"


def _make_names(capture: Capture, bodies: Mapping[str, str]) -> dict[str, str]:
    digest = hashlib.sha256("".join(bodies.values()).encode()).hexdigest()[:8]
    return {each: f"{make_stem(capture)}{digest}_{each}" for each in bodies}


def _quote_text(dialect: Dialect, value: str) -> str:
    return String().dialect_impl(dialect).literal_processor(dialect)(value)  # type: ignore[misc]


def _execute(connection: Connection, statement: str) -> None:
    connection.execute(DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
