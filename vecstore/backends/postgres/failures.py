"""Translates a driver's errors: one table from SQLSTATE to vecstore's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import psycopg
import sqlalchemy.exc

from vecstore.errors import (
    BackendUnavailable,
    StorageFailed,
    StoreCorrupt,
    StoreLocked,
    Timeout,
    UnknownOutcome,
    Unsupported,
    VecstoreError,
)

from ..shared.deadlines import Limit

DENIED = "42501"
GONE = "42P01"
CANCELLED = "57014"
NO_MEMORY = "53200"
"""Of the server's process, or of the memory that all share, which holds the table of locks."""
INTERNAL = "XX000"
"""Of the server itself. Citus has no other for a worker that is gone, nor for what one says against a COPY, such as
that a key exists."""
REFUSED = "22012"
"""Division by zero, by which one of our statements undoes itself."""

_GRANTS = "The database role may not do this; the server's log names the right that it lacks."
_LOCKED = "Another transaction held a lock for longer than lock_timeout. Try again."
_LOST = "The connection to the server was lost. Try again."
_REFUSED = (
    "The server cannot be reached, or refused or ended the connection. Check host, port, database, user and password "
    "in the URL, and whether the server runs; its log says more."
)
_TLS = "The server lets this user in only with TLS (its pg_hba.conf). Add sslmode=require to the URL."
_FULL = "The server takes no more connections. Close some, use a smaller ?pool_size=, or raise its max_connections."
_WRONG_USER = (
    "The server refused the user or the password. Correct them in the URL; a password can also come from PGPASSWORD or "
    "~/.pgpass."
)
_DATABASE = "The server has no such database. Create it with CREATE DATABASE, or correct the URL."
_NO_MEMORY = "The server ran out of memory; nothing was written. Use smaller batches."
_NO_LOCKS = (
    "The server's table of locks is full; nothing was written. Raise its max_locks_per_transaction, for divided stores "
    "to some 10 times the number of partitions, since a statement locks each of them with its indexes. Or use fewer "
    "connections at once, or fewer partitions."
)
_CONFLICT = "Another transaction changed the same records. Repeat the transaction."

_BY_STATE: Mapping[str, Callable[[], VecstoreError]] = MappingProxyType(
    {
        "25006": lambda: Unsupported(
            "writing", "postgres", "The server or the role is read-only. Connect to the primary."
        ),
        "25P02": lambda: BackendUnavailable(
            "The caller's transaction has failed already. Roll it back and start a new one."
        ),
        DENIED: lambda: StorageFailed(_GRANTS),
        "40001": lambda: StoreLocked(_CONFLICT),
        "40P01": lambda: StoreLocked(_CONFLICT),
        "53100": lambda: StorageFailed(
            "The server's disk is full; nothing was written. Free some space and try again."
        ),
        NO_MEMORY: lambda: StorageFailed(_NO_MEMORY),
        INTERNAL: lambda: StoreCorrupt(
            "The server reported an error of its own, as it does for damaged data. Its log says which; with Citus also "
            "those of the workers."
        ),
        "53300": lambda: BackendUnavailable(_FULL),
        "55P03": lambda: StoreLocked(_LOCKED),
        CANCELLED: lambda: Timeout("The server gave up after the timeout. Try again, or raise ?timeout=."),
        "3D000": lambda: BackendUnavailable(_DATABASE),
        "54000": lambda: StorageFailed("The statement is beyond a limit of the server. Use a smaller batch or filter."),
        "58030": lambda: StorageFailed("The server could not read or write its files. See its log."),
    }
)
_BY_CLASS: Mapping[str, Callable[[], VecstoreError]] = MappingProxyType(
    {
        "08": lambda: BackendUnavailable(_LOST),
        "28": lambda: BackendUnavailable(_WRONG_USER),
        "57": lambda: BackendUnavailable("The server ended the connection. Try again."),
        "XX": lambda: StoreCorrupt("The server found damaged data. See its log, and restore from a backup."),
    }
)

_NO_HOST = ("resolve host", "translate host name")
_REFUSALS: Sequence[tuple[tuple[str, ...], str]] = (
    (("no pg_hba.conf entry", "no encryption"), _TLS),
    (("no pg_hba.conf entry", "SSL off"), _TLS),
    (
        ("no pg_hba.conf entry",),
        "The server's pg_hba.conf does not let this user into this database from here. Add a line for it there, or "
        "correct user and database in the URL.",
    ),
    (
        ("server does not support SSL",),
        "The server has no TLS, and the URL asks for it. Turn TLS on there, or use sslmode=prefer in the URL.",
    ),
    (
        ("root certificate file",),
        "The file of root certificates for TLS is missing. Name it by sslrootcert= in the URL, or use sslmode=require.",
    ),
    (
        ("certificate verify failed",),
        "The server's TLS certificate is not one that sslrootcert= in the URL vouches for. Name the right file there.",
    ),
    (
        ("does not match host name",),
        "The server's TLS certificate is for another host name. Use that name in the URL, or sslmode=verify-ca.",
    ),
    (("password authentication failed",), _WRONG_USER),
    (("no password supplied",), _WRONG_USER),
    (("role ", "is not permitted to log in"), "The role may not log in. Let an administrator run: ALTER ROLE … LOGIN"),
    (("permission denied for database",), "The role may not enter the database: GRANT CONNECT ON DATABASE … TO …"),
    (("database ", "is not currently accepting"), "The database accepts no connections (ALLOW_CONNECTIONS is off)."),
    (("FATAL", "database ", "does not exist"), _DATABASE),
    (("FATAL", "role ", "does not exist"), "The server has no such user. Create the role, or correct the URL."),
    (("too many",), _FULL),
    (("remaining connection slots",), _FULL),
    (("the database system is",), "The server is starting or stopping. Try again in a moment."),
    (
        ("onnection refused",),
        "Nothing answers at the server's host and port. Check both in the URL, and whether the server runs.",
    ),
    *(((words,), "The server's host name is not known. Correct the host in the URL.") for words in _NO_HOST),
)
"""English words of a refused connection, for which libpq has no SQLSTATE, and what to say; the first line counts."""


def _find_refusal(error: BaseException) -> str:
    """Return what to say of a refused connection; in other languages than English nothing in particular."""
    said = str(error)
    return next((told for words, told in _REFUSALS if all(word in said for word in words)), _REFUSED)


def read_state(error: BaseException) -> str:
    """Return the SQLSTATE of a driver's error, or an empty string."""
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return read_state(error.orig) if error.orig is not None else ""
    return (error.sqlstate or "") if isinstance(error, psycopg.Error) else ""


def _lacks_locks(error: BaseException) -> bool:
    """Say whether the server's hint names the setting for locks, which it does in every language."""
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return error.orig is not None and _lacks_locks(error.orig)
    return isinstance(error, psycopg.Error) and "max_locks_per_transaction" in (error.diag.message_hint or "")


def is_lost(error: BaseException) -> bool:
    """Say whether the connection was lost, and the answer with it."""
    state = read_state(error)
    ended = state[:2] == "08" or state in {"57P01", "57P02", "57P05"}
    return ended or (isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not state)


def make_missing_table(table: str) -> StoreCorrupt:
    """Return the error of a store that the catalogue has and whose table is not there, as after a partial restore."""
    return StoreCorrupt(
        f"Table {table} of this store is missing: somebody dropped it, or a restore left it out. Restore the namespace "
        "from a backup as a whole, or remove the store with drop()."
    )


def make_timeout() -> Timeout:
    """Return the error of a call that exceeded its timeout."""
    return Timeout("The server did not answer within the timeout. Try again, or raise ?timeout=.")


def translate(
    error: BaseException, *, committing: bool = False, connecting: bool = False, limit: Limit | None = None
) -> VecstoreError:
    """Return vecstore's error for a driver's.

    Parameters
    ----------
    committing : bool
        Whether what was sent commits on its own, which makes its outcome unknown if the answer is lost.
    connecting : bool
        Whether the connection may not have been established yet.
    limit : Limit, optional
        The call's time limit.
    """
    if committing and is_lost(error):
        return UnknownOutcome(
            "The connection was lost while a write was under way: it may or may not have been committed. "
            "Repeat the call; upsert and delete may safely be repeated."
        )
    if isinstance(error, psycopg.errors.ConnectionTimeout) or (limit and limit.passed and is_lost(error)):
        return make_timeout()
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return Timeout("Every connection of the pool was in use until the timeout. Use fewer threads, or ?pool_size=.")
    state = read_state(error)
    if state == NO_MEMORY and _lacks_locks(error):
        return StorageFailed(_NO_LOCKS)
    known = _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    if known:
        return known()
    if is_lost(error):
        return BackendUnavailable(_find_refusal(error) if connecting else _LOST)
    return StorageFailed(f"The server refused the statement (SQLSTATE {state or 'unknown'}); nothing was written.")


@contextmanager
def translating(*, limit: Limit | None = None) -> Iterator[None]:
    """Raise vecstore's error instead of a driver's, which becomes its ``__cause__``."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        cause = error.orig if isinstance(error.orig, psycopg.Error) else error
        raise translate(cause, connecting=True, limit=limit) from _hide_host(cause)
    except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        raise translate(error, connecting=True, limit=limit) from _hide_host(error)


def _hide_host(error: BaseException) -> BaseException:
    """Return a driver's error; of an unknown host one that does not name it, since a password may stand there."""
    if isinstance(error, psycopg.OperationalError) and any(words in str(error) for words in _NO_HOST):
        return psycopg.OperationalError("the host name cannot be resolved")
    return error
