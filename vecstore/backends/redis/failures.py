"""Translates error replies and errors of redis-py: one table from Redis's error codes to vecstore's errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import redis

from vecstore.errors import (
    BackendUnavailable,
    ExtensionMissing,
    IndexNotReady,
    InvalidUrl,
    StorageFailed,
    StoreCorrupt,
    Timeout,
    UnknownOutcome,
    Unsupported,
    VecstoreError,
)

from ..shared.deadlines import Limit
from .connections import make_pool_timeout

WAITING = frozenset({"LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN"})
"""The server did nothing, and the same command may succeed in a moment."""
NO_SCRIPT = "NOSCRIPT"
DENIED = frozenset({"ACL", "NOPERM"})
"""The user lacks a right, for a command or in a script."""

_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "AuthenticationError": "WRONGPASS",
        "AuthenticationWrongNumberOfArgsError": "WRONGPASS",
        "BusyLoadingError": "LOADING",
        "ClusterDownError": "CLUSTERDOWN",
        "ExecAbortError": "EXECABORT",
        "MasterDownError": "MASTERDOWN",
        "MasterNotFoundError": "MASTERDOWN",
        "MovedError": "CLUSTERDOWN",
        "NoPermissionError": "NOPERM",
        "NoScriptError": "NOSCRIPT",
        "OutOfMemoryError": "OOM",
        "ReadOnlyError": "READONLY",
        "TryAgainError": "TRYAGAIN",
    }
)
"""redis-py takes the code off an error reply and raises a class instead; this is the code of each class."""

_REFUSED = (
    "The server cannot be reached, or it refused or closed the connection. Check that it runs, and check the host, "
    "port, user and password in the URL. The server's log says more."
)
_LOST = "The connection to the server was lost. Try again."
_NO_SEARCH = (
    "The server has no query engine: FT.SEARCH is unknown. Use Redis 8 or Redis Stack, or load the search module."
)
MENDING = (
    "verify() names each record and key that differs. upsert() or delete(ids=…) mends a record, "
    "and DEL removes a key that is no record."
)
NO_INDEX = "The search index of the store is missing on the server. No record is lost. Run reindex() to rebuild it."

_BY_CODE: Mapping[str, Callable[[], VecstoreError]] = MappingProxyType(
    {
        "BUSY": lambda: Timeout("The server was busy with a script until the timeout. Try again, or raise ?timeout=."),
        "CLUSTERDOWN": lambda: Unsupported("a cluster", "redis", "Connect to a single server, or through Sentinel."),
        "LOADING": lambda: BackendUnavailable("The server is still loading its data. Try again later."),
        "MASTERDOWN": lambda: BackendUnavailable("The replica has lost its primary. Try again later."),
        "MISCONF": lambda: StorageFailed(
            "The server accepts no writes because it cannot save to disk; nothing was written. See its log."
        ),
        "NOAUTH": lambda: BackendUnavailable("The server requires a password. Add it to the URL."),
        "NOREPLICAS": lambda: BackendUnavailable(
            "The server has fewer healthy replicas than min-replicas-to-write; nothing was written. Try again."
        ),
        "OOM": lambda: StorageFailed(
            "The server has reached its maxmemory; nothing was written. Raise maxmemory, or delete records."
        ),
        "READONLY": lambda: Unsupported("writing", "redis", "The server is a replica. Connect to the primary."),
        "WRONGPASS": lambda: BackendUnavailable("The server refused the user or the password. Check the URL."),
        "WRONGTYPE": lambda: StoreCorrupt(
            "A key in the namespace was not written by vecstore. Use another ?namespace=, or remove the key."
        ),
    }
)
_BY_WORDS: tuple[tuple[str, Callable[[], VecstoreError]], ...] = (
    ("no such index", lambda: IndexNotReady(NO_INDEX)),
    ("unknown index name", lambda: IndexNotReady(NO_INDEX)),
    ("timeout limit was reached", lambda: make_timeout()),
    ("unknown command", lambda: ExtensionMissing(_NO_SEARCH)),
    ("db index is out of range", lambda: _make_no_database()),
    ("cluster", lambda: Unsupported("a cluster", "redis", "Connect to a single server, or through Sentinel.")),
    ("limit exceeds maximum", lambda: _make_too_many()),
)


def _make_denied(said: str) -> VecstoreError:
    """Return the error for a missing right, with the ACL rule that gives it."""
    user = found[1] if (found := re.search(r"User (\S+) has no permissions", said)) else "USER"
    command = re.search(r"'([\w.|-]+)' command|NOPERM ([A-Z.]+)$", said)
    if command is None:
        return StorageFailed(
            "The server's ACL does not let this user access the keys of the namespace. "
            f"Run as an administrator: ACL SETUSER {user} ~<namespace>:*"
        )
    name = (command[1] or command[2]).lower()
    return StorageFailed(
        f"The server's ACL does not let this user run {name.upper()}. "
        f"Run as an administrator: ACL SETUSER {user} +{name}"
    )


def _make_too_many() -> VecstoreError:
    return Unsupported("so many hits", "redis", "Raise the server's MAXSEARCHRESULTS, or ask for fewer hits.")


def read_code(error: BaseException) -> str:
    """Return the code that an error reply begins with, or an empty string."""
    known = _CLASSES.get(type(error).__name__)
    if known:
        return known
    word = str(error).partition(" ")[0]
    return word if word.isupper() and word.isalpha() else ""


_UNRESOLVED = re.compile(r"Error -\d+ connecting to ")
"""The errors of getaddrinfo() are below zero."""


def is_lost(error: BaseException) -> bool:
    """Return whether the connection is lost, and the reply with it."""
    if read_code(error) in {"LOADING", "WRONGPASS", "MASTERDOWN"}:
        return False
    return isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError)


def hide_host(error: BaseException) -> BaseException:
    """Return a driver's error; of an unknown host one that does not name it, since a password may stand there."""
    if isinstance(error, redis.ConnectionError) and _UNRESOLVED.match(str(error)):
        return redis.ConnectionError("the host name cannot be resolved")
    return error


def make_timeout() -> Timeout:
    """Return the error of a call that reached its timeout."""
    return Timeout("The server did not answer within the timeout. Try again, or raise ?timeout=.")


def make_unknown_outcome() -> UnknownOutcome:
    """Return the error of a write whose answer was lost."""
    return UnknownOutcome(
        "The connection was lost during a write, which may or may not have been made. "
        "Repeat the call: it is safe to repeat upsert and delete."
    )


def translate(error: BaseException, *, connecting: bool = False, limit: Limit | None = None) -> VecstoreError:
    """Return vecstore's error for one of redis-py.

    Parameters
    ----------
    connecting : bool
        Whether there may not have been a connection yet.
    limit : Limit, optional
        Of the call; it shuts the connection down when the time is over.
    """
    if isinstance(error, VecstoreError):
        return error
    if read_code(error) in DENIED:
        return _make_denied(str(error))
    known = _BY_CODE.get(read_code(error))
    if known:
        return known()
    if type(error).__name__ == "MaxConnectionsError" or "No connection available" in str(error):
        return make_pool_timeout()
    if isinstance(error, redis.TimeoutError) or (limit and limit.passed and is_lost(error)):
        return make_timeout()
    if is_lost(error):
        return BackendUnavailable(_REFUSED if connecting else _LOST)
    return _translate_text(str(error).lower(), read_code(error))


def _make_no_database() -> VecstoreError:
    return InvalidUrl("The server has no database of that number. Correct it in the URL.")


def _translate_text(said: str, code: str) -> VecstoreError:
    for words, make in _BY_WORDS:
        if words in said:
            return make()
    return StorageFailed(f"The server refused the command ({code or 'ERR'}); nothing was written. See its log.")


def is_denied(reply: Any) -> bool:
    """Return whether a reply says that the user lacks a right."""
    return isinstance(reply, redis.RedisError) and read_code(reply) in DENIED


def is_waiting(reply: Any) -> bool:
    """Return whether a reply is an error that passes by itself."""
    return isinstance(reply, redis.RedisError) and read_code(reply) in WAITING


def check_reply(reply: Any) -> Any:
    """Return a reply, or raise vecstore's error for it."""
    if isinstance(reply, redis.RedisError):
        raise translate(reply) from reply
    return reply
