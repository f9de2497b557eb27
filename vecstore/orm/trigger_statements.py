"""The statements that make the triggers of one declaration, on each engine.

Their names contain a digest of what they do, so that a trigger of an earlier declaration is recognised and replaced.
"""

# Longer than 300 lines because what the triggers of one engine do has to be read beside those of the others.

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import MetaData, String, Table
from sqlalchemy.engine import Dialect

from ..errors import Unsupported
from .captures import Capture
from .outbox import CLOCKS
from .vector_indexes import cut_name


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


def make_triggers(dialect: Dialect, capture: Capture) -> CaptureTriggers:
    """Return the triggers of a declaration.

    Raises
    ------
    Unsupported
        The engine has none that this module knows.
    """
    if dialect.name not in _MAKERS:
        raise Unsupported(
            "capturing changes by triggers",
            dialect.name,
            "vecstore.orm works with PostgreSQL, SQLite, MariaDB and MySQL.",
        )
    if dialect.name != "sqlite":
        _check_names(dialect, capture)
    return _MAKERS[dialect.name](dialect, capture)


def _make_sqlite(dialect: Dialect, capture: Capture) -> CaptureTriggers:
    if capture.schema is not None or (capture.through or {}).get("schema") is not None:
        raise Unsupported("triggers across attached databases", "sqlite", "Give the table no schema.")
    quote = dialect.identifier_preparer.quote
    table, target = quote(capture.table), quote(capture.outbox)
    name = _quote_text(dialect, capture.target)

    def format_key(row: str) -> str:
        return f"json_array({', '.join(f'{row}.{quote(column)}' for column in capture.keys)})"

    def find_rows(row: str) -> tuple[str, str]:
        """Return the alias of the rows that have the keys, and what follows SELECT for them."""
        if not capture.identity:
            return row, ""
        if capture.through is None:
            return row, f" WHERE {' AND '.join(f'{row}.{quote(each)} IS NOT NULL' for each in capture.keys)}"
        match = " AND ".join(f"t.{quote(far)} = {row}.{quote(own)}" for far, own in capture.through["match"].items())
        return "t", f" FROM {quote(capture.through['table'])} AS t WHERE {match}"

    def differ(columns: Iterable[str]) -> str:
        # By bytes, whatever the column's own collation takes for equal.
        return " OR ".join(f"OLD.{quote(each)} IS NOT NEW.{quote(each)} COLLATE BINARY" for each in columns)

    def note(row: str, condition: str = "") -> str:
        alias, rows = find_rows(row)
        if condition:
            rows += f" AND ({condition})" if rows else f" WHERE {condition}"
        return (
            f"INSERT INTO {target} (target, key, entered) SELECT {name}, {format_key(alias)}, {CLOCKS['sqlite']}{rows}"
        )

    leading = [*capture.keys] if capture.through is None else [*capture.through["match"].values()]
    watched = list(dict.fromkeys([*leading, *capture.watched]))
    bodies = {
        # The description stays in the text of the trigger, which SQLite keeps.
        "insert": f"AFTER INSERT ON {table} BEGIN /* {capture.describe()} */ {note('NEW')}; END",
        "update": (
            # Not UPDATE OF: a generated column changes without being named by the statement.
            f"AFTER UPDATE ON {table} WHEN {differ(watched)} BEGIN {note('NEW')}; {note('OLD', differ(leading))}; END"
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


# Once for a statement, since it is a number of many digits that each row would convert again.
_OPENING = "DECLARE vecstore_moment double precision := extract(epoch FROM now()); BEGIN"


def _make_postgres(dialect: Dialect, capture: Capture) -> CaptureTriggers:
    preparer = dialect.identifier_preparer
    quote = preparer.quote
    target = preparer.format_table(capture.make_outbox())
    old, new = "vecstore_old", "vecstore_new"

    def format_key(row: str) -> str:
        pieces = (_format_piece(kind, f"{row}.{quote(name)}") for name, kind in capture.keys.items())
        return f"'[' || {' || chr(44) || '.join(pieces)} || ']'"

    def note(key: str, rows: str) -> str:
        return (
            f"INSERT INTO {target} (target, key, entered) "  # noqa: S608 - names are quoted
            f"SELECT {_quote_text(dialect, capture.target)}, {key}, vecstore_moment FROM {rows};"
        )

    if capture.identity:
        body = _make_related_body(dialect, capture, format_key, note, old, new)
        return _finish_postgres(dialect, capture, body, old, new)
    first = quote(next(iter(capture.keys)))
    same_key = " AND ".join(f"o.{quote(name)} = n.{quote(name)}" for name in capture.keys)
    changed = " OR ".join(
        f"{_compare_by_bytes(kind, f'o.{quote(name)}')} IS DISTINCT FROM {_compare_by_bytes(kind, f'n.{quote(name)}')}"
        for name, kind in capture.watched.items()
    )
    either = f"CASE WHEN n.{first} IS NULL THEN {format_key('o')} ELSE {format_key('n')} END"
    pairs = f"{old} o FULL JOIN {new} n ON {same_key} WHERE o.{first} IS NULL OR n.{first} IS NULL OR {changed}"
    body = (
        f"{_OPENING} IF TG_OP = 'INSERT' THEN {note(format_key('n'), f'{new} n')} "
        f"ELSIF TG_OP = 'DELETE' THEN {note(format_key('o'), f'{old} o')} "
        f"ELSE {note(either, pairs)} END IF; RETURN NULL; END"
    )
    return _finish_postgres(dialect, capture, body, old, new)


def _make_related_body(
    dialect: Dialect,
    capture: Capture,
    format_key: Callable[[str], str],
    note: Callable[[str, str], str],
    old: str,
    new: str,
) -> str:
    """Return the body for a related table: of changed rows both what they referred to and what they refer to now."""
    preparer = dialect.identifier_preparer
    quote = preparer.quote

    def compare(name: str, kind: str) -> str:
        first, second = (_compare_by_bytes(kind, f"{row}.{quote(name)}") for row in ("a", "b"))
        return f"{first} IS NOT DISTINCT FROM {second}"

    same = [f"a.{quote(name)} = b.{quote(name)}" for name in capture.identity]
    same += [compare(name, kind) for name, kind in capture.watched.items()]

    def note_rows(rows: str, others: str | None) -> str:
        if others is not None:
            is_same = " AND ".join(same)
            rows = f"(SELECT a.* FROM {rows} a WHERE NOT EXISTS (SELECT FROM {others} b WHERE {is_same}))"  # noqa: S608 - names are quoted
        if capture.through is None:
            present = " AND ".join(f"r.{quote(name)} IS NOT NULL" for name in capture.keys)
            return note(format_key("r"), f"{rows} r WHERE {present}")
        between = preparer.format_table(Table(capture.through["table"], MetaData(), schema=capture.through["schema"]))
        match = " AND ".join(f"t.{quote(far)} = r.{quote(own)}" for far, own in capture.through["match"].items())
        return note(format_key("t"), f"{rows} r JOIN {between} t ON {match}")

    return (
        f"{_OPENING} IF TG_OP = 'INSERT' THEN {note_rows(new, None)} "
        f"ELSIF TG_OP = 'DELETE' THEN {note_rows(old, None)} "
        f"ELSE {note_rows(new, old)} {note_rows(old, new)} END IF; RETURN NULL; END"
    )


def _finish_postgres(dialect: Dialect, capture: Capture, body: str, old: str, new: str) -> CaptureTriggers:
    preparer = dialect.identifier_preparer
    quote, table = preparer.quote, preparer.format_table(capture.make_table())
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


_COMMA = ", ',', "


def _make_mysql(dialect: Dialect, capture: Capture) -> CaptureTriggers:
    preparer = dialect.identifier_preparer
    quote, table = preparer.quote_identifier, preparer.format_table(capture.make_table())
    target = preparer.format_table(capture.make_outbox())
    columns = ", ".join(map(quote, ("target", "key", "entered")))

    def format_key(row: str) -> str:
        texts = {name: f"cast({row}.{quote(name)} AS char)" for name in capture.keys}
        pieces = [
            texts[name] if kind == "number" else f"json_quote({texts[name]})" for name, kind in capture.keys.items()
        ]
        return f"concat('[', {_COMMA.join(pieces)}, ']')"

    def note(row: str) -> str:
        alias, rows = row, ""
        if capture.identity and capture.through is None:
            rows = f" FROM dual WHERE {' AND '.join(f'{row}.{quote(each)} IS NOT NULL' for each in capture.keys)}"
        if capture.through is not None:
            between = Table(capture.through["table"], MetaData(), schema=capture.through["schema"])
            pairs = capture.through["match"].items()
            match = " AND ".join(f"t.{quote(far)} = {row}.{quote(own)}" for far, own in pairs)
            alias, rows = "t", f" FROM {preparer.format_table(between)} AS t WHERE {match}"
        values = f"{_quote_text(dialect, capture.target)}, {format_key(alias)}, {CLOCKS['mysql']}"
        return f"INSERT INTO {target} ({columns}) SELECT {values}{rows};"

    def are_same(names: Iterable[str]) -> str:
        # By bytes, whatever the column's own collation takes for equal.
        return " AND ".join(f"BINARY OLD.{quote(each)} <=> BINARY NEW.{quote(each)}" for each in names)

    leading = [*capture.keys] if capture.through is None else [*capture.through["match"].values()]
    watched = list(dict.fromkeys([*leading, *capture.watched]))
    bodies = {
        "insert": f"BEGIN {note('NEW')} END",
        "update": (
            f"BEGIN IF NOT ({are_same(watched)}) THEN {note('NEW')} END IF; "
            f"IF NOT ({are_same(leading)}) THEN {note('OLD')} END IF; END"
        ),
        "delete": f"BEGIN {note('OLD')} END",
    }
    names = _make_names(capture, bodies)
    return CaptureTriggers(
        table,
        tuple(names.values()),
        (),
        lambda relation: [
            f"CREATE TRIGGER {quote(names[event])} AFTER {event.upper()} ON {relation} FOR EACH ROW {body}"
            for event, body in bodies.items()
        ],
        lambda name, relation: f"DROP TRIGGER {quote(name)}",
        forget=tuple(f"DROP TRIGGER IF EXISTS {quote(name)}" for name in names.values()),
    )


_LONGEST_PART = 29
"""Bytes of a table's name in the names of its triggers, which have up to 63."""
_MAKERS: Mapping[str, Callable[[Dialect, Capture], CaptureTriggers]] = MappingProxyType(
    {"postgresql": _make_postgres, "sqlite": _make_sqlite, "mysql": _make_mysql, "mariadb": _make_mysql}
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
    digest = hashlib.sha256(capture.id.encode()).hexdigest()[:8]
    return f"vecstore_{cut_name(capture.table[:20], _LONGEST_PART)}_{digest}_"


def _check_names(dialect: Dialect, capture: Capture) -> None:
    """Refuse what the drivers of these engines take for a parameter."""
    through = capture.through or {}
    names = [capture.table, capture.schema, capture.outbox_schema, *capture.keys, *capture.watched, *capture.identity]
    names += [through.get("table"), through.get("schema"), *through.get("match", {})]
    odd = next((name for name in names if name is not None and "%" in name), None)
    if odd is not None:
        raise Unsupported(f"the name {odd!a} with a percent sign", dialect.name, "Give that table or column another.")


def _make_names(capture: Capture, bodies: Mapping[str, str]) -> dict[str, str]:
    digest = hashlib.sha256("".join(bodies.values()).encode()).hexdigest()[:8]
    return {each: f"{make_stem(capture)}{digest}_{each}" for each in bodies}


def _quote_text(dialect: Dialect, value: str) -> str:
    return String().dialect_impl(dialect).literal_processor(dialect)(value)  # type: ignore[misc]
