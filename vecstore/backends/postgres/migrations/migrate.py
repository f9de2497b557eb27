"""Migrations of the PostgreSQL catalogue: ``vecstore migrate``, and the same from Python.

>>> from vecstore import migrate
>>> [revision for revision, _ in migrate.history()]
['vs0001', 'vs0002', 'vs0003', 'vs0004']

The catalogue (stores, generations, change list) is in one PostgreSQL schema, the namespace, alone or beside tables
of the application. Each run is one transaction, and runs on the same namespace wait for each other.
"""

from __future__ import annotations

import hashlib
import io
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vecstore.errors import InvalidArgument, MigrationRequired
from vecstore.logs import log_duration
from vecstore.names import check_name

from .failures import UNDEFINED_TABLE, read_state, translating
from .revisions import BASE, HEAD, find_position, list_revisions, load_scripts, locate_revision, name_revision

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import ColumnClause, Connection, Select

__all__ = [
    "DEFAULT_NAMESPACE",
    "check",
    "current",
    "downgrade",
    "history",
    "include_object",
    "sql",
    "upgrade",
]

DEFAULT_NAMESPACE = "vecstore"

_PREFIX = "vecstore_"
_VERSIONS = "vecstore_alembic_version"


def upgrade(connection: Connection, revision: str = HEAD, *, namespace: str = DEFAULT_NAMESPACE) -> None:
    """Upgrade the catalogue to a revision; do nothing if it has it already.

    Creates the namespace and the extension ``vector`` if they are missing.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of PostgreSQL. If it is in a transaction, the migration joins it and commits with it; otherwise it is
        committed here.
    revision : str
        ``"head"`` or one of `history`.
    namespace : str
        The PostgreSQL schema that holds the catalogue.

    Raises
    ------
    ExtensionMissing
        The extension cannot be created; the message has the SQL for an administrator. Nothing was changed.
    Unsupported
        The catalogue is newer than this vecstore.
    InvalidArgument, StorageError
    """
    target = find_position(revision)
    _run(connection, target, namespace, down=False)


def downgrade(connection: Connection, revision: str, *, namespace: str = DEFAULT_NAMESPACE) -> None:
    """Downgrade the catalogue to an earlier revision; do nothing if it has it already.

    Never drops the extension, the namespace or a table with records.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        As for `upgrade`.
    revision : str
        One of `history`, or ``"base"`` for no catalogue at all.
    namespace : str

    Raises
    ------
    StoreExists
        Data would be lost; the message names the stores. Nothing was changed.
    Unsupported, InvalidArgument, StorageError
    """
    target = find_position(revision)
    _run(connection, target, namespace, down=True)


def current(connection: Connection, *, namespace: str = DEFAULT_NAMESPACE) -> str | None:
    """Return the catalogue's revision, None if there is no catalogue."""
    from sqlalchemy import column, select, table
    from sqlalchemy.exc import ProgrammingError

    _check_namespace(namespace)
    _check_connection(connection)
    version: ColumnClause[str] = column("version_num")
    versions = select(version).select_from(table(_VERSIONS, schema=namespace))
    with translating(namespace, connection, "connect"):
        try:
            with _hold_transaction(connection):
                found = connection.scalar(versions)
        except ProgrammingError as error:
            if read_state(error) != UNDEFINED_TABLE:
                raise
            found = None
    return found


def check(connection: Connection, *, namespace: str = DEFAULT_NAMESPACE) -> None:
    """Check, with one query, that the catalogue has the revision that this vecstore needs.

    Raises
    ------
    MigrationRequired
        It is missing or older; the message has the command to run.
    Unsupported
        It is newer.
    StorageError
    """
    found = current(connection, namespace=namespace)
    if locate_revision(found, namespace) < len(list_revisions()):
        state = "has no catalogue" if found is None else f"has a catalogue of revision {found}, this vecstore needs "
        state += "" if found is None else list_revisions()[-1]
        raise MigrationRequired(f"Namespace {namespace!r} {state}. Run: {_make_command(connection, namespace)}")


def history() -> tuple[tuple[str, str], ...]:
    """Return all revisions with what each adds, oldest first."""
    newest_first = list(load_scripts().walk_revisions())
    return tuple((script.revision, str(script.doc)) for script in reversed(newest_first))


def sql(*, namespace: str = DEFAULT_NAMESPACE, from_revision: str | None = None, to_revision: str = HEAD) -> str:
    """Return the SQL of an upgrade or a downgrade, to be run by an administrator.

    Parameters
    ----------
    namespace : str
    from_revision : str, optional
        The revision that the catalogue has; None if there is no catalogue.
    to_revision : str
        ``"head"``, ``"base"`` or one of `history`; earlier than ``from_revision`` for a downgrade.

    Returns
    -------
    str
        A script with its own BEGIN and COMMIT.
    """
    from sqlalchemy.dialects import postgresql

    _check_namespace(namespace)
    start, target = find_position(from_revision or BASE), find_position(to_revision)
    if start == target:
        raise InvalidArgument(f"From {name_revision(start)} to {name_revision(target)} there is nothing to do.")
    written = io.StringIO()
    context = _make_context(
        {"dialect": postgresql.dialect()},  # type: ignore[no-untyped-call]
        {"as_sql": True, "literal_binds": True, "output_buffer": written, "starting_rev": name_revision(start)},
        namespace,
        target,
        down=target < start,
    )
    with context.begin_transaction():
        _apply(context, namespace, target, create=start == 0)
    return written.getvalue()


def include_object(item: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:  # noqa: FBT001 - Alembic's signature
    """Say whether an application's autogenerate should consider an object: not one of ours.

    For ``context.configure(include_object=…)`` in the application's ``env.py``. Everything that belongs to a table
    whose name begins with ``vecstore_`` is ours, in any schema. ``import pgvector.sqlalchemy`` in ``env.py`` keeps
    SQLAlchemy from warning that it does not know the type ``vector``.
    """
    table = name if type_ == "table" else getattr(getattr(item, "table", None), "name", None)
    return not str(table).startswith(_PREFIX)


def _run(connection: Connection, target: int, namespace: str, *, down: bool) -> None:
    _check_namespace(namespace)
    _check_connection(connection)
    with translating(namespace, connection, "migrate"):
        _check_transactional(connection)
        _run_in_transaction(connection, target, namespace, down=down)


def _run_in_transaction(connection: Connection, target: int, namespace: str, *, down: bool) -> None:
    from sqlalchemy import inspect

    with _hold_transaction(connection):
        connection.execute(_select_lock(namespace))
        present = locate_revision(current(connection, namespace=namespace), namespace)
        if present == target or down != (target < present):
            return
        context = _make_context({"connection": connection}, {}, namespace, target, down=down)
        with log_duration("migrations", "catalogue migrated from revision %d to %d", present, target):
            _apply(context, namespace, target, create=not inspect(connection).has_schema(namespace))


def _apply(context: MigrationContext, namespace: str, target: int, *, create: bool) -> None:
    """Run the planned steps. They get their operations as an argument, because ``alembic.op`` is one per process."""
    from alembic.operations import Operations
    from sqlalchemy import MetaData, Table
    from sqlalchemy.schema import CreateSchema, DropTable

    operations = Operations(context)
    if context.as_sql:
        operations.execute(_select_lock(namespace))
    if create:
        # Only if it is missing: PostgreSQL checks the right to create it first.
        operations.execute(CreateSchema(namespace, if_not_exists=True))
    context.run_migrations(op=operations, namespace=namespace)
    if target == 0:
        # Alembic leaves it; some releases drop it when they write SQL.
        operations.execute(DropTable(Table(_VERSIONS, MetaData(), schema=namespace), if_exists=True))


def _make_context(
    place: dict[str, Any], options: dict[str, Any], namespace: str, target: int, *, down: bool
) -> MigrationContext:
    steps = load_scripts()._downgrade_revs if down else load_scripts()._upgrade_revs
    # After the line above, which raises MissingExtra if Alembic is not installed.
    from alembic.runtime.migration import MigrationContext

    plan = {"fn": lambda heads, _: steps(name_revision(target), heads)}
    versions = {"version_table": _VERSIONS, "version_table_schema": namespace}
    return MigrationContext.configure(**place, opts=plan | versions | options)


def _check_namespace(namespace: str) -> None:
    check_name(namespace, "namespace")
    if namespace.startswith("pg_") or namespace == "information_schema":
        raise InvalidArgument(f"namespace {namespace!r}: PostgreSQL reserves this name.")


def _check_connection(connection: object) -> None:
    from sqlalchemy import Connection

    if not isinstance(connection, Connection):
        raise InvalidArgument(f"A connection is a sqlalchemy.Connection, not {type(connection).__name__}.")
    if connection.dialect.name != "postgresql":
        raise InvalidArgument(f"The catalogue needs PostgreSQL; this connection is for {connection.dialect.name}.")


def _check_transactional(connection: Connection) -> None:
    if getattr(connection.connection.dbapi_connection, "autocommit", False):
        raise InvalidArgument("The connection is in autocommit mode; a migration needs one with transactions.")


@contextmanager
def _hold_transaction(connection: Connection) -> Iterator[None]:
    """Commit at the end, or, inside the caller's transaction, keep that usable after a failure."""
    with connection.begin_nested() if connection.in_transaction() else connection.begin():
        yield


def _select_lock(namespace: str) -> Select[Any]:
    """Return a query that waits for other runs on the namespace, and makes later ones wait."""
    from sqlalchemy import BigInteger, func, literal, select

    digest = hashlib.sha256(f"vecstore migrate {namespace}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    return select(func.pg_catalog.pg_advisory_xact_lock(literal(key, BigInteger)))


def _make_command(connection: Connection, namespace: str) -> str:
    """Return the command to run, without the password, which libpq takes from elsewhere."""
    from sqlalchemy import URL

    url = connection.engine.url
    place = {key: value for key, value in url.query.items() if key in {"host", "port"}}
    shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database, place)
    extra = "" if namespace == DEFAULT_NAMESPACE else f" --namespace {namespace}"
    return f"vecstore migrate upgrade --url {shlex.quote(shown.render_as_string())}{extra}"
