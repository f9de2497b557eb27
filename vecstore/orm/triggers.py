"""Triggers that note changed rows in the outbox, in the transaction that changes them, whoever does it.

They are created and dropped together with the tables of the application.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import DDL, Connection, MetaData, Table, event, inspect, text
from sqlalchemy.engine import Dialect

from ..errors import Unsupported
from .captures import Capture, parse_description
from .trigger_statements import make_stem, make_triggers


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

    Raises
    ------
    Unsupported
        Triggers of this engine do not say what they note.
    """
    if connection.dialect.name == "sqlite":
        listed = text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name GLOB 'vecstore[_]*'")
        found = [sql.partition("/* ")[2].partition(" */")[0] for sql in connection.execute(listed).scalars()]
    elif connection.dialect.name != "postgresql":
        raise Unsupported(
            "autogenerate",
            connection.dialect.name,
            "Take setup() out of env.py, and write vectors.create_triggers(op.get_bind()) into a migration that comes "
            "after the one with the tables.",
        )
    else:
        described = text(
            "SELECT DISTINCT obj_description(p.oid, 'pg_proc') FROM pg_proc p JOIN pg_trigger t ON t.tgfoid = p.oid "
            "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE starts_with(p.proname, 'vecstore_') "
            "AND (pg_table_is_visible(c.oid) OR n.nspname::text = ANY (:schemas))"
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
    if connection.dialect.name != "postgresql":
        return [name]
    tree = text("SELECT relid::regclass::text FROM pg_partition_tree(to_regclass(:name))")
    return list(connection.execute(tree, {"name": name}).scalars()) or [name]


def _list_on(connection: Connection, relation: str) -> list[str]:
    if connection.dialect.name == "sqlite":
        listed = text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name")
        return list(connection.execute(listed, {"name": relation.strip('"').replace('""', '"')}).scalars())
    if connection.dialect.name != "postgresql":
        listed = text(
            "SELECT trigger_name FROM information_schema.triggers "
            "WHERE event_object_schema = coalesce(:schema, database()) AND event_object_table = :name"
        )
        schema, _, name = relation.replace("``", "\0").replace("`", "").replace("\0", "`").rpartition(".")
        return list(connection.execute(listed, {"schema": schema or None, "name": name}).scalars())
    listed = text("SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal")
    return list(connection.execute(listed, {"name": relation}).scalars())


def _execute(connection: Connection, statement: str) -> None:
    connection.execute(DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
