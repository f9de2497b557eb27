"""What a reply or an error of the driver means to a user: one table from Redis's error codes to vecstore's errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import redis

from vecstore.errors import (
    BackendUnavailable,
    ExtensionMissing,
    IndexNotReady,
    StorageFailed,
    StoreCorrupt,
    Timeout,
    UnknownOutcome,
    Unsupported,
    VecstoreError,
)

from ..shared.deadlines import Limit
from .connections import exhausted

WAITING = frozenset({"LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN"})
"""Nothing was done, and the same command may succeed in a moment."""
NO_SCRIPT = "NOSCRIPT"

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
"""The code that redis-py took from the beginning of a reply, by the class that it made of it."""

_REFUSED = (
    "The server cannot be reached, or refused or ended the connection. Check host, port, user and password in the URL, "
    "and whether the server runs; its log says more."
)
_LOST = "The connection to the server was lost. Try again."
_NO_SEARCH = (
    "The server has no query engine: FT.SEARCH is unknown. Use Redis 8, Redis Stack, or load the search module."
)
NO_INDEX = "The search index of the store is gone from the server. reindex() builds it again; no record is lost."

_BY_CODE: Mapping[str, Callable[[], VecstoreError]] = MappingProxyType(
    {
        "ACL": lambda: _denied(),
        "BUSY": lambda: Timeout("The server was busy with a script until the timeout. Try again, or raise ?timeout=."),
        "CLUSTERDOWN": lambda: Unsupported("a cluster", "redis", "Connect to a single server, or through Sentinel."),
        "LOADING": lambda: BackendUnavailable("The server is still loading its data. Try again later."),
        "MASTERDOWN": lambda: BackendUnavailable("The replica has lost its primary. Try again later."),
        "MISCONF": lambda: StorageFailed(
            "The server takes no writes because it cannot save to disk; nothing was written. See its log, make room."
        ),
        "NOAUTH": lambda: BackendUnavailable("The server wants a password. Put it into the URL."),
        "NOPERM": lambda: _denied(),
        "NOREPLICAS": lambda: BackendUnavailable(
            "The server has fewer good replicas than it wants for a write; nothing was written. Try again."
        ),
        "OOM": lambda: StorageFailed(
            "The server has reached its maxmemory; nothing was written. Raise maxmemory, or remove records."
        ),
        "READONLY": lambda: Unsupported("writing", "redis", "The server is a replica. Connect to the primary."),
        "WRONGPASS": lambda: BackendUnavailable("The server refused the user or the password. Mend the URL."),
        "WRONGTYPE": lambda: StoreCorrupt(
            "A key of the namespace holds something that is not vecstore's. Use another ?namespace=, or remove the key."
        ),
    }
)
_BY_WORDS: tuple[tuple[str, Callable[[], VecstoreError]], ...] = (
    ("no such index", lambda: IndexNotReady(NO_INDEX)),
    ("unknown index name", lambda: IndexNotReady(NO_INDEX)),
    ("timeout limit was reached", lambda: late()),
    ("unknown command", lambda: ExtensionMissing(_NO_SEARCH)),
    ("cluster", lambda: Unsupported("a cluster", "redis", "Connect to a single server, or through Sentinel.")),
    ("limit exceeds maximum", lambda: _limited()),
)


def _denied() -> VecstoreError:
    return StorageFailed(
        "The server's ACL does not let this user do that. Ask for the rights, or connect with mode=ro to read only."
    )


def _limited() -> VecstoreError:
    hint = "Raise its setting MAXSEARCHRESULTS, or ask for fewer."
    return Unsupported("so many hits", "redis", hint)


def code_of(error: BaseException) -> str:
    """Return the code at the beginning of an error reply, empty where it has none."""
    known = _CLASSES.get(type(error).__name__)
    if known:
        return known
    word = str(error).partition(" ")[0]
    return word if word.isupper() and word.isalpha() else ""


def is_lost(error: BaseException) -> bool:
    """Say whether the connection is gone, and with it the answer."""
    if code_of(error) in {"LOADING", "WRONGPASS", "MASTERDOWN"}:
        return False
    return isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError)


def late() -> Timeout:
    """Return the error of a call whose time is over."""
    return Timeout("The server did not answer within the timeout. Try again, or raise ?timeout=.")


def unknown() -> UnknownOutcome:
    """Return the error of a write whose answer was lost."""
    return UnknownOutcome(
        "The connection was lost while a write was under way: it may or may not have been made. "
        "Repeat the call; upsert and delete do no harm when they are repeated."
    )


def meaning(error: BaseException, *, connecting: bool = False, limit: Limit | None = None) -> VecstoreError:
    """Return vecstore's error for a driver's.

    Parameters
    ----------
    connecting : bool
        Whether there may not have been a connection yet.
    limit : Limit, optional
        The call's, which ends a connection whose time is over.
    """
    if isinstance(error, VecstoreError):
        return error
    known = _BY_CODE.get(code_of(error))
    if known:
        return known()
    if type(error).__name__ == "MaxConnectionsError" or "No connection available" in str(error):
        return exhausted()
    if isinstance(error, redis.TimeoutError) or (limit and limit.passed and is_lost(error)):
        return late()
    if is_lost(error):
        return BackendUnavailable(_REFUSED if connecting else _LOST)
    return _of_words(str(error).lower(), code_of(error))


def _of_words(said: str, code: str) -> VecstoreError:
    for words, make in _BY_WORDS:
        if words in said:
            return make()
    return StorageFailed(f"The server refused the command ({code or 'ERR'}); nothing was written. See its log.")
