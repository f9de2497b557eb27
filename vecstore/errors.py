"""Every error that vecstore raises.

::

    VecstoreError                     .retryable: the same call may succeed later
    ├── InvalidArgument (ValueError)  the call can never work as written
    │   ├── InvalidUrl
    │   ├── InvalidId
    │   ├── InvalidVector
    │   │   └── DimensionMismatch
    │   ├── InvalidMetadata
    │   │   └── MetadataMismatch      stored values do not fit the fields that they were to become
    │   ├── InvalidFilter
    │   │   └── UnknownField (LookupError)
    │   ├── InvalidQuery              no text to search for, or a threshold that no score can have
    │   ├── DuplicateId
    │   ├── UnknownItem (LookupError) a fitted model knows nothing of an item
    │   ├── NotFitted                 a vectoriser was used before fit()
    │   └── EmbedderRequired
    ├── MissingExtra (ImportError)    an optional dependency is not installed
    ├── Unsupported (NotImplementedError)
    ├── SchemaMismatch                the store exists with a different schema
    ├── ModelDamaged                  a saved model's files are not what was saved
    ├── EmbedderMismatch              the embedder is not the one that filled the store
    ├── StoreNotFound (LookupError)
    ├── StoreChanged                  retryable
    ├── StoreMoved                    the store now lives in another Database
    ├── StoreExists
    ├── RecordNotFound (LookupError)
    ├── RecordExists
    ├── PartialWrite                  some batches of a call are written, the others are not
    ├── DeadLetters                   changed rows were given up by the workers of `vecstore.orm`
    ├── WorkerDied                    processes of a load died again and again
    ├── UnknownOutcome                the connection was lost while a commit was in flight
    ├── ForkedStore                   opened before fork() and used after it
    └── StorageError                  the place that holds the data
        ├── BackendUnavailable        retryable
        │   ├── ExtensionMissing
        │   └── MigrationRequired     the catalogue is missing or older than this vecstore
        ├── Timeout (TimeoutError)    retryable
        ├── StoreLocked               retryable
        ├── IndexNotReady             retryable
        ├── StorageFailed             an I/O error: full disk, failed fsync
        ├── DatabaseReplaced          another directory or file is now where an open one was
        └── StoreCorrupt              stored bytes differ from what was written

Messages carry names, ids and counts, never vectors, texts or passwords. A driver's own
exception stays in ``__cause__``.
"""

# Longer than 300 lines because the whole error tree is in one place.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "BackendUnavailable",
    "DatabaseReplaced",
    "DeadLetters",
    "DimensionMismatch",
    "DuplicateId",
    "EmbedderMismatch",
    "EmbedderRequired",
    "ExtensionMissing",
    "ForkedStore",
    "IndexNotReady",
    "InvalidArgument",
    "InvalidFilter",
    "InvalidId",
    "InvalidMetadata",
    "InvalidQuery",
    "InvalidUrl",
    "InvalidVector",
    "MetadataMismatch",
    "MigrationRequired",
    "MissingExtra",
    "ModelDamaged",
    "NotFitted",
    "PartialWrite",
    "RecordExists",
    "RecordNotFound",
    "SchemaMismatch",
    "StorageError",
    "StorageFailed",
    "StoreChanged",
    "StoreCorrupt",
    "StoreExists",
    "StoreLocked",
    "StoreMoved",
    "StoreNotFound",
    "Timeout",
    "UnknownField",
    "UnknownItem",
    "UnknownOutcome",
    "Unsupported",
    "VecstoreError",
    "WorkerDied",
]


def close_matches(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` with the nearest known words, or a list of all of them."""
    from difflib import get_close_matches

    names = sorted(f"{name}" for name in known)  # a StrEnum member as its plain word
    near = get_close_matches(word, names, n=3, cutoff=0.6)
    if near:
        return f" Did you mean {' or '.join(map(repr, near))}?"
    if names and len(names) <= 20:
        return f" Known: {', '.join(names)}."
    return ""


def _restore(kind: type[VecstoreError], args: tuple[Any, ...], attributes: dict[str, Any]) -> VecstoreError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class VecstoreError(Exception):
    """Root of every error that vecstore raises."""

    retryable: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the message and the attributes, so that a worker process can send the error to its parent."""
        return _restore, (type(self), self.args, dict(self.__dict__))


class InvalidArgument(VecstoreError, ValueError):
    """An argument that no backend accepts. Nothing was read or written."""


class InvalidUrl(InvalidArgument):
    """A database URL with an unknown scheme, an unknown parameter or a value that does not fit."""


class InvalidId(InvalidArgument):
    """An id that is not a str of 1 to 512 bytes of UTF-8 without NUL."""


class InvalidVector(InvalidArgument):
    """A vector with NaN, infinity, a norm out of range, or zero under cosine."""


class DimensionMismatch(InvalidVector):
    """A vector whose length is not the schema's ``dim``."""


class InvalidMetadata(InvalidArgument):
    """A text or a metadata value that does not fit the schema or cannot be stored unchanged."""


class MetadataMismatch(InvalidMetadata):
    """Stored values do not fit the fields that they were to become, or the metadata that fields were to become.

    Parameters
    ----------
    store : str
    ids : sequence of str
        The first of the records, in the order of ids, at least one of them.
    reason : str
        What is wrong with the first of them, as sentences.
    more : bool
        There may be others.
    """

    def __init__(self, store: str, ids: Sequence[str], reason: str, *, more: bool = False) -> None:
        named = ", ".join(f"{id_!a}" for id_ in ids)
        found = f"the first {len(ids)} are {named}" if more else f"these: {named}"
        super().__init__(
            f"Store {store!r} was not changed, because values of some records do not fit, {found}. {reason} Change "
            "these values with update(metadata=…), remove them with update(unset=[…]), or declare another kind."
        )
        self.ids = tuple(ids)


class InvalidFilter(InvalidArgument):
    """A filter with a wrong operator or a value of the wrong type, or one that exceeds the limits."""


class UnknownField(InvalidFilter, LookupError):
    """A filter on a field that the schema does not declare."""


class InvalidQuery(InvalidArgument):
    """A query text without a letter, number or symbol, or a ``min_score`` outside the metric's range."""


class DuplicateId(InvalidArgument):
    """The same id appears twice in one batch of `insert`."""


class EmbedderRequired(InvalidArgument):
    """A text has to be embedded, but the store has no embedder."""


class UnknownItem(InvalidArgument, LookupError):
    """A fitted model was given an item of which it knows nothing, and is not to skip it."""


class NotFitted(InvalidArgument):
    """A vectoriser has learned nothing yet."""


class MissingExtra(VecstoreError, ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    package : str
        The package that could not be imported.
    extra : str
        The extra of vecstore that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed. Run: pip install 'vecstore-db[{extra}]'")
        self.package = package
        self.extra = extra


class Unsupported(VecstoreError, NotImplementedError):
    """A feature that this backend does not have. The call is refused before any I/O.

    Parameters
    ----------
    feature : str
        The requested feature.
    backend : str
        The backend that lacks it.
    hint : str, optional
        What to do instead.
    """

    def __init__(self, feature: str, backend: str, hint: str = "") -> None:
        super().__init__(f"{backend} does not support {feature}.{' ' + hint if hint else ''}")
        self.feature = feature
        self.backend = backend


class SchemaMismatch(VecstoreError):
    """A store of that name exists with a different schema."""


class EmbedderMismatch(VecstoreError):
    """The embedder makes different vectors from those in the store."""


class ModelDamaged(VecstoreError):
    """The files of a saved model are not those that were saved. Nothing of them was used."""


class StoreNotFound(VecstoreError, LookupError):
    """There is no store of that name, or another one has it now.

    Parameters
    ----------
    name : str
    known : sequence of str
        The names of all stores.
    replaced : bool
        The store was dropped while it was open, and another store has its name.
    missing : str, optional
        The place, if there is no database at all.
    """

    def __init__(
        self, name: str, known: Sequence[str] = (), *, replaced: bool = False, missing: str | None = None
    ) -> None:
        hint = close_matches(name, known) if missing is None else f" There is no database in {missing}."
        found = f"There is no store {name!r} here.{hint}"
        super().__init__(
            f"Store {name!r} was dropped, and another one has its name now. Call open() again to use that one."
            if replaced
            else found
        )
        self.name = name


class StoreChanged(VecstoreError):
    """Others wrote to a store that was copied from a read-only Database, which cannot note what changes."""

    retryable = True


class StoreMoved(VecstoreError):
    """The store was moved to another Database. The message names it.

    Parameters
    ----------
    name : str
        The store's name here.
    target : str
        Where it is now, in words.
    uid : str
        The uid that it has there.
    advice : str, optional
        What to do, if it is not to go there.
    """

    def __init__(self, name: str, target: str, uid: str = "", advice: str = "") -> None:
        go = "Connect to that Database, or give it as successor: vecstore.connect(url, successor=other_url)."
        super().__init__(f"Store {name!r} has moved to {target}. {advice or go}")
        self.name = name
        self.target = target
        self.uid = uid


class StoreExists(VecstoreError):
    """A store of that name already exists."""


class RecordNotFound(VecstoreError, LookupError):
    """There is no record with that id."""


class RecordExists(VecstoreError):
    """An inserted id is already stored.

    Parameters
    ----------
    ids : sequence of str
        The stored ids, at least one of them; a backend may stop at the first.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        shown = ", ".join(repr(id_) for id_ in ids[:3])
        super().__init__(f"Already stored: {shown}. Use upsert() to replace records.")
        self.ids = tuple(ids)


class PartialWrite(VecstoreError):
    """A write stopped part-way: the earlier batches are written, the others are not.

    Parameters
    ----------
    committed : int
        Records of the call that are written. The cause is in ``__cause__``.
    reason : BaseException
        What stopped the call.
    """

    def __init__(self, committed: int, reason: BaseException) -> None:
        super().__init__(
            f"{committed} records are written, but the batch after them is not: {reason} "
            "Fix the cause, then repeat the call with upsert() or continue after the written records."
        )
        self.committed = committed
        self.retryable = isinstance(reason, VecstoreError) and reason.retryable


class DeadLetters(VecstoreError):
    """Changed rows of a model were given up after several attempts: their records are those of an earlier state.

    Parameters
    ----------
    count : int
        Changes in the outbox that are dead.
    """

    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} changed rows were given up; the column reason of table vecstore_outbox says why. Change the "
            "rows, or remove the cause and call retry()."
        )
        self.count = count


class WorkerDied(VecstoreError):
    """Processes that a load started died again and again while the same task was under way. Nothing of it stays."""


class UnknownOutcome(VecstoreError):
    """The connection was lost while a commit was in flight. The commit may or may not have happened."""


class ForkedStore(VecstoreError):
    """A Database, or a connection of the application, was opened before ``fork()`` and used in the child process.

    Parameters
    ----------
    message : str, optional
        What was opened, and what to do in the child.
    """

    def __init__(
        self, message: str = "This Database was opened before fork(). Call vecstore.connect() in the child process."
    ) -> None:
        super().__init__(message)


class StorageError(VecstoreError):
    """A problem with the place that holds the data."""


class BackendUnavailable(StorageError):
    """The place that holds the data cannot be reached or refuses requests."""

    retryable = True


class ExtensionMissing(BackendUnavailable):
    """The server lacks an extension or module that the backend needs."""

    retryable = False


class MigrationRequired(BackendUnavailable):
    """Tables of vecstore are missing or too old: its catalogue on PostgreSQL, or those of an application's outbox."""

    retryable = False


class Timeout(StorageError, TimeoutError):
    """The operation did not finish within ``timeout`` seconds."""

    retryable = True


class StoreLocked(StorageError):
    """Another process held the store's lock for longer than ``lock_timeout`` seconds."""

    retryable = True


class IndexNotReady(StorageError):
    """The engine is still building an index that the search needs."""

    retryable = True


class StorageFailed(StorageError):
    """The operating system failed a read or a write. Everything acknowledged before is intact."""


class DatabaseReplaced(StorageError):
    """Something else is now where an open Database was, for example after a restore. Connect again.

    Parameters
    ----------
    what : str
        The file or directory, as the message names it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was replaced or removed while it was open, for example by a restore. "
            "This call changed nothing that is there now. Call vecstore.connect() again."
        )


class StoreCorrupt(StorageError):
    """Stored bytes differ from what was written. Nothing was changed."""
