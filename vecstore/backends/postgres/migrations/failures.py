"""Translates PostgreSQL's errors during a migration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from vecstore.errors import (
    BackendUnavailable,
    ExtensionMissing,
    InvalidArgument,
    StorageError,
    StoreExists,
    StoreLocked,
    Timeout,
    VecstoreError,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.exc import DBAPIError

UNDEFINED_TABLE = "42P01"

_REFUSED = "VS001"
"""The SQLSTATE that our revisions raise, with a message for the user."""

_DENIED = "42501"
_CREATE_EXTENSION = "CREATE EXTENSION"

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_EXTENSION: Mapping[str, str] = MappingProxyType(
    {
        "42501": "This role may not create the extension. Let an administrator run in this database: {statement};",
        "3F000": (
            "There is no schema public to create the extension in. "
            "Let an administrator run in this database: CREATE EXTENSION vector WITH SCHEMA a_schema_of_yours;"
        ),
        "0A000": "The server has no pgvector. Install it there; then {statement};",
        "58P01": "The server has no pgvector. Install it there; then {statement};",
    }
)

_FAILURES: Mapping[str, tuple[type[VecstoreError], str]] = MappingProxyType(
    {
        "25006": (StorageError, "the transaction is read-only"),
        "25P02": (InvalidArgument, "the connection's transaction has failed already; roll it back"),
        "40001": (StoreLocked, "another transaction interfered; try again"),
        "40P01": (StoreLocked, "another transaction interfered; try again"),
        "42501": (StorageError, "this role lacks the right to do it; run it as one that owns the namespace"),
        "42P07": (StorageError, "there is a table of that name already; name another namespace"),
        "55P03": (StoreLocked, "another transaction holds the catalogue; try again"),
        "57014": (Timeout, "the server cancelled it, perhaps by its statement_timeout"),
    }
)


def read_state(error: DBAPIError) -> str:
    """Return the SQLSTATE of an error, or an empty string."""
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""


@contextmanager
def translating(namespace: str, connection: Connection, call: str) -> Iterator[None]:
    """Raise vecstore's errors instead of the driver's, with the rights that a call lacks; see `rights.CALLS`."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except DBAPIError as error:
        denied = read_state(error) == _DENIED and not (error.statement or "").startswith(_CREATE_EXTENSION)
        found = _explain_denial(connection, namespace, call) if denied else None
        raise found or _translate(error, namespace) from error
    except SQLAlchemyError as error:
        raise InvalidArgument("The connection cannot be used: it is closed, or its transaction has ended.") from error


def _explain_denial(connection: Connection, namespace: str, call: str) -> VecstoreError | None:
    """Return an error that names the missing rights; None where the driver is not psycopg or the connection is lost."""
    if connection.dialect.driver != "psycopg" or connection.invalidated:
        return None
    from ..engine import get_driver
    from ..rights import Denied
    from ..transaction import Transaction

    return Denied(call, namespace).explain(Transaction(get_driver(connection.connection), prepare=False))


def _translate(error: DBAPIError, namespace: str) -> VecstoreError:
    code, statement = read_state(error), error.statement or ""
    if error.connection_invalidated:
        return BackendUnavailable(
            "The connection was lost. A migration is applied completely or not at all: run it again."
        )
    if code == _REFUSED:
        return StoreExists(str(getattr(getattr(error.orig, "diag", None), "message_primary", error.orig)))
    if statement.startswith(_CREATE_EXTENSION) and code in _EXTENSION:
        return ExtensionMissing(_EXTENSION[code].format(statement=statement))
    kind, reason = _FAILURES.get(code, (StorageError, f"PostgreSQL's error {code or 'has no code'}"))
    return kind(f"The catalogue in namespace {namespace!r} is unchanged: {reason}.")
