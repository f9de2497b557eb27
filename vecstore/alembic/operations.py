"""The operations of migrations: each works online and, with ``--sql``, without a connection.

PostgreSQL has extensions and vector indexes; on other engines the operations for them do nothing, so that one migration
is right for an application on SQLite and on PostgreSQL.
"""

# Longer than 300 lines because every operation is documented here in full.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import DDL, Connection, text
from sqlalchemy.exc import DBAPIError

from ..errors import ExtensionMissing, InvalidArgument, close_matches
from ..orm.captures import KEY_KINDS, WATCHED_KINDS, Capture
from ..orm.outbox import OUTBOX
from ..orm.triggers import has_tables, plan_creation, plan_removal
from ..orm.vector_indexes import VectorIndex, qualify, read_indexes, shorten_name

_TEMPORARY = "_vecstore_new"


@Operations.register_operation("create_vector_extension")
class CreateVectorExtension(MigrateOperation):
    """``CREATE EXTENSION IF NOT EXISTS vector``."""

    def __init__(self, schema: str | None = None) -> None:
        self.schema = schema

    @classmethod
    def create_vector_extension(cls, operations: Operations, schema: str | None = None) -> None:
        """Create pgvector's extension if the database does not have it.

        Parameters
        ----------
        operations : Operations
        schema : str, optional
            Where its types and functions are; by default where PostgreSQL creates them.

        Raises
        ------
        ExtensionMissing
            The role may not create it, or the server has no pgvector.
        """
        operations.invoke(cls(schema))

    def reverse(self) -> MigrateOperation:
        """Return what a downgrade does: nothing, since other tables may use it."""
        return KeepVectorExtension()

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return how ``alembic check`` shows it."""
        return ("create_vector_extension",)


class KeepVectorExtension(MigrateOperation):
    """The reverse of `CreateVectorExtension`."""

    def reverse(self) -> MigrateOperation:
        """Return what creates it."""
        return CreateVectorExtension()


@Operations.register_operation("drop_vector_extension")
class DropVectorExtension(MigrateOperation):
    """``DROP EXTENSION IF EXISTS vector``."""

    @classmethod
    def drop_vector_extension(cls, operations: Operations) -> None:
        """Drop pgvector's extension. PostgreSQL refuses while a column uses it."""
        operations.invoke(cls())

    def reverse(self) -> MigrateOperation:
        """Return what creates it."""
        return CreateVectorExtension()


class _IndexOperation(MigrateOperation):
    """What concerns one vector index, ``concurrently`` or not."""

    word = ""

    def __init__(self, index: VectorIndex, *, concurrently: bool = False) -> None:
        self.index = index
        self.concurrently = concurrently

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return how ``alembic check`` shows it."""
        return (self.word, self.index.name, self.index.table)


class _BuildOperation(_IndexOperation):
    """An index of pgvector is built."""

    @classmethod
    def invoke_on(
        cls,
        operations: Operations,
        name: str,
        table: str,
        column: str,
        *,
        opclass: str,
        using: str = "hnsw",
        options: Mapping[str, int] | None = None,
        halfvec: int | None = None,
        schema: str | None = None,
        concurrently: bool = False,
    ) -> None:
        """Build an index of pgvector.

        Parameters
        ----------
        operations : Operations
        name, table, column : str
        opclass : str
            Such as ``"vector_cosine_ops"``.
        using : {"hnsw", "ivfflat"}
        options : mapping of str to int, optional
            ``{"m": 16, "ef_construction": 64}``.
        halfvec : int, optional
            The dimension, to index in half precision, which takes more dimensions.
        schema : str, optional
        concurrently : bool
            While the table is written to. That takes no transaction: what came before in the migration is committed,
            so that it belongs into a revision of its own.
        """
        index = VectorIndex(name, table, column, using, opclass, dict(options or {}), halfvec, schema)
        operations.invoke(cls(index, concurrently=concurrently))


@Operations.register_operation("create_vector_index", "invoke_on")
class CreateVectorIndex(_BuildOperation):
    """An index is built. One of that name that an earlier attempt left unfinished is dropped first."""

    word = "create_vector_index"

    def reverse(self) -> MigrateOperation:
        """Return what drops it."""
        return DropVectorIndex(self.index, concurrently=self.concurrently)


@Operations.register_operation("drop_vector_index")
class DropVectorIndex(_IndexOperation):
    """An index of pgvector is dropped."""

    word = "drop_vector_index"

    @classmethod
    def drop_vector_index(
        cls,
        operations: Operations,
        name: str,
        table: str,
        *,
        schema: str | None = None,
        concurrently: bool = False,
    ) -> None:
        """Drop an index of pgvector.

        Parameters
        ----------
        operations : Operations
        name, table : str
        schema : str, optional
        concurrently : bool
            As for ``create_vector_index``.
        """
        operations.invoke(cls(VectorIndex(name, table, "", "hnsw", "any", {}, None, schema), concurrently=concurrently))

    def reverse(self) -> MigrateOperation:
        """Return what builds it again."""
        return CreateVectorIndex(self.index, concurrently=self.concurrently)


@Operations.register_operation("replace_vector_index", "invoke_on")
class ReplaceVectorIndex(_BuildOperation):
    """An index is built beside the one of that name, which is dropped, and gets the name."""

    word = "replace_vector_index"

    def __init__(self, index: VectorIndex, former: VectorIndex | None = None, *, concurrently: bool = False) -> None:
        super().__init__(index, concurrently=concurrently)
        self.former = former

    def reverse(self) -> MigrateOperation:
        """Return what brings back the one that was there."""
        if self.former is None:
            raise NotImplementedError
        return ReplaceVectorIndex(self.former, self.index, concurrently=self.concurrently)


class _CaptureOperation(MigrateOperation):
    """What concerns the triggers of one declaration."""

    word = ""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture

    @classmethod
    def invoke_on(
        cls,
        operations: Operations,
        target: str,
        table: str,
        *,
        keys: Mapping[str, str],
        watched: Mapping[str, str],
        schema: str | None = None,
        outbox: str = OUTBOX,
        outbox_schema: str | None = None,
        identity: Sequence[str] = (),
        through: Mapping[str, Any] | None = None,
    ) -> None:
        """Make or drop the triggers that note changed rows in the outbox.

        Parameters
        ----------
        operations : Operations
        target : str
            The declaration, as the outbox names it: ``"article.search"``.
        table : str
        keys : mapping of str to {"number", "text", "uuid"}
            The columns of the primary key.
        watched : mapping of str to {"text", "other"}
            The columns whose change counts.
        schema, outbox, outbox_schema : str, optional
        identity, through
            On a table that the text depends on: its own primary key, and the table between.

        Raises
        ------
        InvalidArgument
        """
        _check_kinds("keys", keys, KEY_KINDS)
        _check_kinds("watched", watched, WATCHED_KINDS)
        if not keys:
            raise InvalidArgument(f"keys: which columns are the primary key of {table!r}?")
        capture = Capture(
            target, table, dict(keys), dict(watched), schema, outbox, outbox_schema, tuple(identity), through
        )
        operations.invoke(cls(capture))

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return how ``alembic check`` shows it."""
        return (self.word, self.capture.target)


@Operations.register_operation("create_capture", "invoke_on")
class CreateCapture(_CaptureOperation):
    """The triggers of a declaration are made; those of an earlier form are replaced."""

    word = "create_capture"

    def reverse(self) -> MigrateOperation:
        """Return what drops them."""
        return DropCapture(self.capture)


@Operations.register_operation("drop_capture", "invoke_on")
class DropCapture(_CaptureOperation):
    """The triggers of a declaration are dropped, whatever form they have."""

    word = "drop_capture"

    def reverse(self) -> MigrateOperation:
        """Return what makes them again."""
        return CreateCapture(self.capture)


def _check_kinds(word: str, given: Mapping[str, str], known: Sequence[str]) -> None:
    for name, kind in given.items():
        if kind not in known:
            raise InvalidArgument(f"{word}: column {name!r} has the kind {kind!r}.{close_matches(kind, known)}")


# Alembic replaces the docstring of a method that it has registered, and these are registered twice.
for _name, _first in (("replace_vector_index", "create_vector_index"), ("drop_capture", "create_capture")):
    getattr(Operations, _name).__doc__ = getattr(Operations, _first).__doc__


# -- what they do


@Operations.implementation_for(CreateVectorExtension)
def _create_extension(operations: Operations, operation: CreateVectorExtension) -> None:
    if not _is_postgresql(operations):
        return
    where = "" if operation.schema is None else f" WITH SCHEMA {_quote_schema(operations, operation.schema)}"
    statement = f"CREATE EXTENSION IF NOT EXISTS vector{where}"
    connection = get_connection(operations)
    # A role that may not create it may use it.
    if connection is not None and connection.scalar(text("SELECT 1 FROM pg_extension WHERE extname = 'vector'")):
        return
    try:
        run_statements(operations, [statement])
    except DBAPIError as error:
        raise ExtensionMissing(
            "The extension cannot be created. Install pgvector on the server if it lacks it, and let an administrator "
            f"run in this database: {statement};"
        ) from error


@Operations.implementation_for(KeepVectorExtension)
def _keep_extension(operations: Operations, operation: KeepVectorExtension) -> None:
    pass


@Operations.implementation_for(DropVectorExtension)
def _drop_extension(operations: Operations, operation: DropVectorExtension) -> None:
    if _is_postgresql(operations):
        run_statements(operations, ["DROP EXTENSION IF EXISTS vector"])


@Operations.implementation_for(CreateVectorIndex)
def _create_index(operations: Operations, operation: CreateVectorIndex) -> None:
    if not _is_postgresql(operations):
        return
    index, connection = operation.index, get_connection(operations)
    statements = []
    if connection is not None:
        stored = read_indexes(connection, index.table, index.schema).get(index.name)
        if stored is not None and stored.is_valid and stored.index.is_like(index):
            return  # an attempt got so far, and not as far as Alembic's note of it
        if stored is not None and not stored.is_valid:
            statements.append(_make_drop(operations, index, concurrently=operation.concurrently))
    elif operation.concurrently:
        statements.append(_make_drop(operations, index, concurrently=True))
    statements.append(index.make_statement(get_dialect(operations), concurrently=operation.concurrently))
    run_statements(operations, statements, alone=operation.concurrently)


@Operations.implementation_for(DropVectorIndex)
def _drop_index(operations: Operations, operation: DropVectorIndex) -> None:
    if _is_postgresql(operations):
        statement = _make_drop(operations, operation.index, concurrently=operation.concurrently)
        run_statements(operations, [statement], alone=operation.concurrently)


@Operations.implementation_for(ReplaceVectorIndex)
def _replace_index(operations: Operations, operation: ReplaceVectorIndex) -> None:
    if not _is_postgresql(operations):
        return
    index, concurrently = operation.index, operation.concurrently
    dialect, connection = get_dialect(operations), get_connection(operations)
    if connection is not None:
        stored = read_indexes(connection, index.table, index.schema).get(index.name)
        if stored is not None and stored.is_valid and stored.index.is_like(index):
            return
    new = shorten_name(index.name, _TEMPORARY)
    beside = VectorIndex(
        new, index.table, index.column, index.using, index.opclass, index.options, index.halfvec, index.schema
    )
    statements = [
        _make_drop(operations, beside, concurrently=concurrently),
        beside.make_statement(dialect, concurrently=concurrently),
        _make_drop(operations, index, concurrently=concurrently),
        f"ALTER INDEX {qualify(dialect, new, index.schema)} RENAME TO {dialect.identifier_preparer.quote(index.name)}",
    ]
    run_statements(operations, statements, alone=concurrently)


@Operations.implementation_for(CreateCapture)
def _create_capture(operations: Operations, operation: CreateCapture) -> None:
    capture, connection = operation.capture, get_connection(operations)
    if connection is not None and not has_tables(connection, capture):
        raise InvalidArgument(
            f"Table {capture.table!r} or {capture.outbox!r} does not exist: create both before their triggers."
        )
    run_statements(operations, plan_creation(get_dialect(operations), capture, connection))


@Operations.implementation_for(DropCapture)
def _drop_capture(operations: Operations, operation: DropCapture) -> None:
    connection = get_connection(operations)
    run_statements(operations, plan_removal(get_dialect(operations), operation.capture, connection))


def _make_drop(operations: Operations, index: VectorIndex, *, concurrently: bool) -> str:
    word = "CONCURRENTLY " if concurrently else ""
    return f"DROP INDEX {word}IF EXISTS {qualify(get_dialect(operations), index.name, index.schema)}"


def run_statements(operations: Operations, statements: Iterable[str], *, alone: bool = False) -> None:
    """Execute statements, or write them down where there is no connection; ``alone`` without a transaction."""
    made = [DDL(each.replace("%", "%%")) for each in statements]  # type: ignore[no-untyped-call]
    if not alone:
        for each in made:
            operations.execute(each)
        return
    migration = operations.get_context()
    if not migration.as_sql and migration.connection is not None:
        outer = migration.connection.in_transaction() and migration.connection.get_transaction()
        if outer and getattr(migration, "_transaction", outer) is None:
            raise InvalidArgument(
                "An index is built CONCURRENTLY, which takes no transaction, but env.py has begun one around the "
                "migrations. Give context.configure() a connection without one, or build it with concurrently=False."
            )
    with migration.autocommit_block():
        for each in made:
            operations.execute(each)


def _is_postgresql(operations: Operations) -> bool:
    return str(get_dialect(operations).name) == "postgresql"


def get_dialect(operations: Operations) -> Any:
    """Return the dialect of a migration."""
    return operations.get_context().dialect


def get_connection(operations: Operations) -> Connection | None:
    """Return the connection, None where SQL is written down."""
    migration = operations.get_context()
    return None if migration.as_sql else migration.connection


def _quote_schema(operations: Operations, schema: str) -> str:
    quoted: str = get_dialect(operations).identifier_preparer.quote_schema(schema)
    return quoted
