"""`connect` and `Database`: a place that holds named stores."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from . import registry
from .backend import Backend, Capabilities, Generation, Progress
from .embedders.identity import Identity
from .embedding import StoreEmbedder
from .errors import DimensionMismatch, InvalidArgument, SchemaMismatch, StoreExists
from .rebuild.copy import Pace
from .rebuild.rebuild import Rebuilt, plan_generation, rebuild, rollback
from .schema import Schema, check_name
from .store import VectorStore

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy import URL, Engine

    from .embedders.base import Embedder


def connect(
    url: str | os.PathLike[str] | URL | Engine | Redis, *, namespace: str | None = None, migrate: bool = False
) -> Database:
    """Open a place that holds stores.

    Parameters
    ----------
    url : str, path, sqlalchemy.URL, sqlalchemy.Engine or redis.Redis
        ``file:./directory``, ``file:///absolute/directory``, ``postgresql://user@host/database``,
        ``redis://host:6379/0`` or ``memory:``, with parameters such as ``?timeout=10&lock_timeout=2&mode=ro``.
        A `pathlib.Path` means ``file:``, and so does a `str` that begins with a slash, a dot or a tilde. A directory
        that does not exist is made by the first `Database.create`. An application's own engine, with the driver
        psycopg, or its own client, with ``protocol=3``, stays the application's.
    namespace : str, optional
        PostgreSQL's schema for the catalogue and the stores, or the beginning of all keys in Redis; ``vecstore`` by
        default.
    migrate : bool
        Where the catalogue is under migrations: bring it up to date first.

    Raises
    ------
    InvalidUrl, MissingExtra, BackendUnavailable, MigrationRequired
    """
    return Database(registry.connect(url, namespace=namespace, migrate=migrate))


class Database:
    """A place that holds named stores; `connect` makes it. Threads may share it; a context manager."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Database on {self._backend.capabilities.backend}>"

    @property
    def capabilities(self) -> Capabilities:
        """What the backend can do."""
        return self._backend.capabilities

    def create(
        self,
        name: str,
        schema: Schema,
        *,
        embedder: Embedder | None = None,
        if_exists: Literal["error", "open"] = "error",
    ) -> VectorStore:
        """Create a store.

        Parameters
        ----------
        name : str
            1 to 48 of a-z, 0-9 and _, starting with a letter.
        schema : Schema
            Its ``dim`` may be left out where an embedder is given.
        embedder : Embedder, optional
            Turns texts into vectors. Its identity is stored, so that a wrong one is refused later.
        if_exists : {"error", "open"}
            ``"open"`` opens a store that exists with the same dim, metric, dtype and fields.

        Raises
        ------
        StoreExists, SchemaMismatch, Unsupported, InvalidArgument
        """
        check_name(name, "Store")
        if if_exists not in {"error", "open"}:
            raise InvalidArgument(f"if_exists must be 'error' or 'open', not {if_exists!r}.")
        if not isinstance(schema, Schema):
            raise InvalidArgument(f"schema must be a Schema, not {type(schema).__name__}.")
        given, embedder = StoreEmbedder(embedder), _check_single(embedder)
        if if_exists == "open" and name in self._backend.names():
            return self._open_existing(name, schema, given)
        self.capabilities.check_writable()
        schema = _fill_dim(schema, embedder)
        self.capabilities.check_schema(schema)
        identity = Identity.of(embedder).to_json() if embedder is not None else None
        try:
            entry = self._backend.create(name, Generation(uuid.uuid4().hex, schema, identity))
        except StoreExists:
            if if_exists == "open":
                return self._open_existing(name, schema, given)
            raise
        return VectorStore(self._backend, entry, given)

    def open(self, name: str, *, embedder: Embedder | tuple[Embedder, ...] | None = None) -> VectorStore:
        """Open a store.

        Parameters
        ----------
        name : str
        embedder : Embedder or tuple of Embedder, optional
            Checked at its first use. ``(old, new)`` keeps a process running while a rebuild changes the
            model: the one that fits the active generation is used.

        Raises
        ------
        StoreNotFound
        """
        check_name(name, "Store")
        return VectorStore(self._backend, self._backend.find(name=name), StoreEmbedder(embedder))

    def names(self) -> list[str]:
        """Return the names of all stores, sorted."""
        return self._backend.names()

    def drop(self, name: str) -> None:
        """Remove a store and all that is in it.

        Raises
        ------
        StoreNotFound
        """
        self.capabilities.check_writable()
        self._backend.drop(self._backend.find(name=check_name(name, "Store")).uid)

    def rename(self, old: str, new: str) -> None:
        """Give a store another name; `VectorStore` objects of it go on working.

        Raises
        ------
        StoreNotFound, StoreExists
        """
        self.capabilities.check_writable()
        check_name(new, "Store")
        self._backend.rename(self._backend.find(name=check_name(old, "Store")).uid, new)

    def rebuild(
        self,
        name: str,
        *,
        schema: Schema | None = None,
        embedder: Embedder | None = None,
        keep_previous: bool = True,
        on_progress: Progress | None = None,
        records_per_second: float | None = None,
    ) -> Rebuilt:
        """Give a store another schema or another embedder while it is read and written.

        A new generation is filled beside the active one, catches up with what was written meanwhile, gets
        its index, is compared record by record, and takes its place in one step. An interrupted rebuild goes
        on when it is called again with the same arguments.

        Parameters
        ----------
        name : str
        schema : Schema, optional
            By default the present one. A field no longer declared stays as undeclared metadata; a newly
            declared one takes its values from there.
        embedder : Embedder, optional
            Makes all vectors anew from the texts, unless it is the model that the store has.
        keep_previous : bool
            Keep what was replaced, and follow it with all writes, for `rollback`; `drop_previous` ends that.
        on_progress : callable, optional
            Called with how many records are copied and how many there are.
        records_per_second : float, optional
            Copy no faster than this.

        Raises
        ------
        StoreNotFound, StoreLocked, InvalidArgument, StoreCorrupt
        """
        self.capabilities.check_writable()
        given, pace = StoreEmbedder(embedder), Pace(on_progress, records_per_second)
        entry = self._backend.find(name=check_name(name, "Store"))
        wanted = plan_generation(entry.active, schema, _check_single(embedder))
        self.capabilities.check_schema(wanted.schema)
        return rebuild(self._backend, entry, wanted, given, pace, keep_previous=keep_previous)

    def rollback(self, name: str, *, embedder: Embedder | None = None) -> Rebuilt:
        """Go back to what the last `rebuild` replaced, with all that was written since.

        Parameters
        ----------
        name : str
        embedder : Embedder, optional
            The one of the previous generation, for texts that were written since.
        """
        self.capabilities.check_writable()
        given = StoreEmbedder(embedder)
        return rollback(self._backend, self._backend.find(name=check_name(name, "Store")), given)

    def drop_previous(self, name: str) -> bool:
        """Give up what the last `rebuild` replaced; return whether there was anything.

        Until then it takes its place on disk, every write is noted for it, and `rollback` can go back to it.

        Raises
        ------
        StoreNotFound, StoreLocked
        """
        self.capabilities.check_writable()
        uid = self._backend.find(name=check_name(name, "Store")).uid
        with self._backend.builder(uid):
            previous = self._backend.find(uid=uid).previous
            if previous:
                self._backend.drop(uid, previous.id)
        return previous is not None

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Copy all stores, each as it is at one moment, while they are read and written.

        Parameters
        ----------
        target : str or path
            A directory that does not exist or is empty. What it holds afterwards is a database like this one.

        Raises
        ------
        Unsupported
            The backend has nothing to copy in this way, its own tools may have; or, as writers have to be held
            up for a moment, the Database was opened read-only.
        InvalidArgument
        """
        self._backend.backup(_check_empty_directory(target))

    def close(self) -> None:
        """Release connections, files and locks; a second call does nothing."""
        self._backend.close()

    def _open_existing(self, name: str, schema: Schema, given: StoreEmbedder) -> VectorStore:
        entry = self._backend.find(name=name)
        stored = entry.active.schema
        wanted = schema.with_dim(stored.width) if schema.dim is None else schema
        differences = stored.differences(wanted)
        if differences:
            raise SchemaMismatch(
                f"Store {name!r} exists with another schema: {'; '.join(differences)}. "
                "Open it as it is with open(), or change it with rebuild()."
            )
        return VectorStore(self._backend, entry, given)


def _check_empty_directory(target: object) -> str:
    if not isinstance(target, str | os.PathLike) or not (path := os.fspath(target)) or not isinstance(path, str):
        raise InvalidArgument(f"target must be the path of a directory, not {type(target).__name__}.")
    if "\0" in path:
        raise InvalidArgument("target contains a NUL character, which a path cannot have.")
    try:
        is_taken = os.path.lexists(path) and any(Path(path).iterdir())
    except OSError as error:
        raise InvalidArgument(f"{path!a} is not a readable directory. Give another path.") from error
    if is_taken:
        raise InvalidArgument(f"{path!a} is not empty. Give another path.")
    return path


def _check_single(embedder: Embedder | None) -> Embedder | None:
    if isinstance(embedder, tuple):
        raise InvalidArgument("A new generation has one embedder. Several, as (old, new), are for open().")
    return embedder


def _fill_dim(schema: Schema, embedder: Embedder | None) -> Schema:
    if embedder is None:
        if schema.dim is None:
            raise InvalidArgument("The schema has no dim. Give Schema(dim=…), or an embedder that knows it.")
        return schema
    if schema.dim is None:
        return schema.with_dim(embedder.dim)
    if schema.dim != embedder.dim:
        raise DimensionMismatch(f"The schema has dim={schema.dim}, the embedder makes {embedder.dim}. Leave dim out.")
    return schema
