"""`connect` and `Database`, a place that contains named stores."""

# Longer than 300 lines because the public class is documented here in full.

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, SupportsFloat

from . import registry
from .arguments import describe, is_finite
from .backend import Backend, Generation
from .backup_target import check_empty_directory
from .capabilities import Capabilities
from .embedders.identity import Identity
from .errors import InvalidArgument, InvalidUrl, SchemaMismatch, StoreExists, Unsupported
from .logs import log_duration, log_step
from .lookup import check_here, find_here
from .names import check_name
from .new_store import check_identity, fill_dim
from .one_process import OneProcess
from .progress import Progress, report_to
from .route import Route
from .schema import Schema
from .store import VectorStore
from .store_embedder import StoreEmbedder
from .successor import Successor

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy import URL, Engine

    from .embedders.base import Embedder
    from .fields import Field
    from .following import Follow
    from .rebuild.declaration import Declared
    from .rebuild.switch import Rebuilt


def connect(
    url: str | os.PathLike[str] | URL | Engine | Redis,
    *,
    namespace: str | None = None,
    migrate: bool = False,
    successor: str | os.PathLike[str] | URL | Engine | Redis | Database | None = None,
    replicas: Sequence[str | URL | Engine] = (),
    replica_lag: float = 5.0,
) -> Database:
    """Open a place that contains stores.

    Parameters
    ----------
    url : str, path, sqlalchemy.URL, sqlalchemy.Engine or redis.Redis
        ``file:./directory``, ``file:///absolute/directory``, ``postgresql://user@host/database``,
        ``redis://host:6379/0`` or ``memory:``, with parameters such as ``?timeout=10&lock_timeout=2&mode=ro``.
        A `pathlib.Path` means ``file:``, and so does a `str` that begins with a slash, a dot or a tilde. The first
        `Database.create` makes a missing directory. An application can pass its own engine (driver psycopg) or
        client (``protocol=3``) and remains its owner.
    namespace : str, optional
        The PostgreSQL schema of all tables, or the prefix of all Redis keys; ``vecstore`` by default.
    migrate : bool
        Upgrade the catalogue first, if the backend has migrations.
    successor : str, path, sqlalchemy.URL, sqlalchemy.Engine, redis.Redis or Database, optional
        The place that stores of this Database move to: calls go on there when a store has moved. It is connected
        when a move is seen to run, or else when a store has moved; before that it need not be reachable. Its namespace
        stands in its own URL. An open Database remains the application's.
    replicas : sequence of str, sqlalchemy.URL or sqlalchemy.Engine
        Standby servers of a PostgreSQL server, which answer searches where they are recent enough. All else, and what
        none of them can answer, goes to ``url``.
    replica_lag : float
        Seconds by which a search may be behind the writes of other Databases. It always sees what was written through
        this one, except through `VectorStore.using`.

    Raises
    ------
    InvalidUrl, InvalidArgument, Unsupported, MissingExtra, BackendUnavailable, MigrationRequired
    """
    following = _take_successor(url, successor)
    _check_replicas(replicas, replica_lag)
    backend = registry.connect(url, namespace=namespace, migrate=migrate, replicas=replicas)
    if replicas:
        try:
            backend.use_replicas(replicas, float(replica_lag))
        except BaseException:
            backend.close()
            raise
    return Database(backend, following)


class Database(OneProcess):
    """A place that contains named stores, and a context manager. `connect` returns it. Threads may share it."""

    def __init__(self, backend: Backend, successor: Successor | None = None) -> None:
        self._backend = backend
        self._route = Route(backend, successor)

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
        embedder: Embedder[Any] | None = None,
        identity: Identity | None = None,
        if_exists: Literal["error", "open"] = "error",
    ) -> VectorStore:
        """Create a store.

        Parameters
        ----------
        name : str
            1 to 48 of a-z, 0-9 and _, starting with a letter.
        schema : Schema
            Its ``dim`` is optional if an embedder is given.
        embedder : Embedder, optional
            Turns texts into vectors. Its identity is stored, and a different embedder is refused later.
        identity : Identity, optional
            Instead of an embedder: the identity of the one that makes the vectors, such as the
            `VectorStore.embedder_identity` of the store that they come from. No model is loaded.
        if_exists : {"error", "open"}
            ``"open"`` opens an existing store with the same dim, metric, dtype and fields.

        Raises
        ------
        StoreExists, SchemaMismatch, Unsupported, InvalidArgument
        StoreMoved, StoreLocked
            The name is that of a store that has moved where no successor has it, or that a move or a copy is still
            filling.
        """
        check_name(name, "Store")
        if if_exists not in {"error", "open"}:
            raise InvalidArgument(f"if_exists must be 'error' or 'open', not {if_exists!r}.")
        if not isinstance(schema, Schema):
            raise InvalidArgument(f"schema must be a Schema, not {type(schema).__name__}.")
        given, embedder = StoreEmbedder(embedder), _check_single(embedder)
        dim = check_identity(identity, embedder)
        if if_exists == "open" and name in self._backend.names():
            return self._open_existing(name, schema, given)
        self.capabilities.check_writable()
        schema = fill_dim(schema, dim if embedder is None else embedder.dim)
        self.capabilities.check_schema(schema)
        known = identity if embedder is None else Identity.of(embedder)
        stored = None if known is None else known.to_json()
        try:
            entry = self._backend.create(name, Generation(uuid.uuid4().hex, schema, stored))
        except StoreExists:
            if if_exists == "open":
                return self._open_existing(name, schema, given)
            self._route.find(name)
            raise
        return VectorStore(self._backend, entry, given, self._route)

    def create_from(
        self,
        name: str,
        file: str | os.PathLike[str],
        *,
        embedder: Embedder[Any] | None = None,
        on_progress: Progress | None = None,
    ) -> VectorStore:
        """Create a store of a Parquet file that `VectorStore.export` wrote: schema, model, records, versions.

        The store gets its name when all records are in it and its digest is that of the file.

        Parameters
        ----------
        name : str
        file : str or path
        embedder : Embedder, optional
            As for `open`. Nothing is embedded.
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.

        Raises
        ------
        StoreExists, StoreMoved, StoreLocked, Unsupported, MissingExtra
        InvalidArgument
            The file is no such export, or has no vectors.
        StoreCorrupt
            The digest differs: the file was damaged or changed. There is no new store.
        """
        from .exports.output_file import check_path
        from .exports.parquet_import import load, read_description
        from .filled_store import create_filled
        from .lookup import CurrentEntry
        from .upkeep import tend

        check_name(name, "Store")
        StoreEmbedder(embedder)
        path = check_path(file)
        header = read_description(path)
        self.capabilities.check_writable()
        self.capabilities.check_schema(header.schema)
        if name in self._backend.names():
            self._route.find(name)
            raise StoreExists(f"There is already a store {name!r}.")
        with report_to(on_progress) as report:

            def fill(store: VectorStore) -> None:
                load(self._backend, self._backend.find(name=store.name).active, path, header, report)

            try:
                create_filled(self, name, header.schema, fill, identity=header.identity)
            except StoreExists:
                self._route.find(name)
                raise
            tend(CurrentEntry(*self._route.find(name), self._route), header.records or 0, report)
        return self.open(name, embedder=embedder)

    def open(self, name: str, *, embedder: Embedder[Any] | tuple[Embedder[Any], ...] | None = None) -> VectorStore:
        """Open a store.

        Parameters
        ----------
        name : str
        embedder : Embedder or tuple of Embedder, optional
            Checked when it is first used. Give ``(old, new)`` to a process that runs while a rebuild changes
            the model: the one that fits the active generation is used.

        Raises
        ------
        StoreNotFound
        StoreMoved
            It has moved to another Database, and no successor has it.
        StoreLocked
            A move or a copy from another Database is still filling it.
        """
        check_name(name, "Store")
        given = StoreEmbedder(embedder)
        return VectorStore(*self._route.find(name), given, self._route)

    def names(self) -> list[str]:
        """Return the names of all stores, sorted.

        A store that has moved keeps its name here. The target of an unfinished move or copy is left out.
        """
        return self._backend.names()

    def drop(self, name: str, *, moved: bool = False) -> None:
        """Remove a store and all its records.

        Parameters
        ----------
        name : str
        moved : bool
            Remove what a move to another Database has left here under that name: the way there, and the records
            that are kept for the way back. Also what a copy to here has left that nobody will finish; or a move, if
            the place that it comes from is given as ``successor``: after the switch there, this is the store.

        Raises
        ------
        StoreNotFound
        StoreMoved, StoreLocked
            Without ``moved``: the store has moved, or a move or a copy is still filling it. With it: these may be the
            only records, and there is no successor to ask.
        InvalidArgument
            With ``moved``: the store is here.
        """
        self.capabilities.check_writable()
        entry = self._backend.find(name=check_name(name, "Store"))
        if not moved:
            check_here(entry)
        elif entry.active.remote is None:
            raise InvalidArgument(f"Store {name!r} has not moved. To remove it with its records, leave moved=True out.")
        if moved:
            with self._backend.builder(entry.uid):  # the mover's, as long as it lives
                self._route.check_left(entry)
                self._backend.drop(entry.uid)
        else:
            self._backend.drop(entry.uid)

    def rename(self, old: str, new: str) -> None:
        """Rename a store. Its open `VectorStore` objects continue to work.

        Raises
        ------
        StoreNotFound, StoreExists
        """
        self.capabilities.check_writable()
        check_name(new, "Store")
        self._backend.rename(find_here(self._backend, check_name(old, "Store")).uid, new)

    def rebuild(
        self,
        name: str,
        *,
        schema: Schema | None = None,
        embedder: Embedder[Any] | None = None,
        keep_previous: bool = True,
        on_progress: Progress | None = None,
        records_per_second: float | None = None,
    ) -> Rebuilt:
        """Change a store's schema or embedder while it is read and written.

        A new generation is filled beside the active one, catches up with concurrent writes, is indexed,
        compared record by record, and becomes active in one atomic step. To continue an interrupted rebuild,
        call it again with the same arguments; `rollback` gives it up. If the store has the schema, the index and
        the model already, nothing is copied.

        Parameters
        ----------
        name : str
        schema : Schema, optional
            The default is the current schema. The values of a field that is no longer declared become
            undeclared metadata; a newly declared field takes its values from there.
        embedder : Embedder, optional
            Embeds all texts again, unless it is the model that filled the store. Vectors that were given, or made of
            another text (``Record(item=…)``), are replaced by those of the records' texts too.
        keep_previous : bool
            Keep the replaced generation and record all writes for it, so that `rollback` is possible until
            `drop_previous` is called. The one that an earlier rebuild replaced stays until the switch.
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.
        records_per_second : float, optional
            Copy no faster than this.

        Raises
        ------
        StoreNotFound, StoreLocked, InvalidArgument, StoreCorrupt
        Unsupported
            The message names what a new table cannot take over (PostgreSQL). Nothing was copied.
        """
        self.capabilities.check_writable()
        from .rebuild.pace import Pace
        from .rebuild.rebuild import rebuild
        from .rebuild.target import plan_generation

        with report_to(on_progress) as report:
            given, pace = StoreEmbedder(embedder), Pace(report, records_per_second)
            entry = find_here(self._backend, check_name(name, "Store"))
            wanted = plan_generation(entry.active, schema, _check_single(embedder))
            self.capabilities.check_schema(wanted.schema)
            return rebuild(self._backend, entry, wanted, given, pace, keep_previous=keep_previous)

    def declare(self, name: str, fields: Mapping[str, Field], *, on_progress: Progress | None = None) -> Declared:
        """Make keys of the metadata declared fields, while the store is read and written.

        All values are checked first. A date may be stored as ISO 8601 text, which a `fields.DateTime` takes; every
        other value must be one that the field accepts. Each record then has the same metadata as before, now typed.
        After an interruption, call it again with the same arguments. Fields that are declared as given are left as
        they are. There is no way back by `rollback`, also not to what an earlier rebuild replaced; `undeclare` makes
        the fields undeclared metadata again.

        Parameters
        ----------
        name : str
        fields : mapping of str to Field
            By keys: ``{"source": fields.Keyword()}``.
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.

        Raises
        ------
        MetadataMismatch
            Stored values do not fit. The error has the first ten ids; nothing was changed.
        SchemaMismatch
            A field of that name is declared as another one.
        StoreNotFound, StoreLocked, InvalidArgument
        Unsupported
            As in `rebuild`.
        """
        from .rebuild.declaration import check_fields, declare
        from .rebuild.pace import Pace

        check_name(name, "Store")
        given = check_fields(fields)
        self.capabilities.check_writable()
        with report_to(on_progress) as report:
            return declare(self._backend, find_here(self._backend, name), given, Pace(report))

    def undeclare(self, name: str, fields: Sequence[str], *, on_progress: Progress | None = None) -> Declared:
        """Make declared fields undeclared metadata again, while the store is read and written.

        No value is lost; a date becomes ISO 8601 text. Filters reach such keys only with ``Schema(dynamic=True)``.
        Names that are not declared are left as they are, so an interrupted call can be made again.

        Parameters
        ----------
        name : str
        fields : sequence of str
            Their names.
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.

        Raises
        ------
        MetadataMismatch
            A record would have more undeclared metadata than can be stored. Nothing was changed.
        StoreNotFound, StoreLocked, InvalidArgument
        Unsupported
            As in `rebuild`.
        """
        from .rebuild.declaration import check_names, undeclare
        from .rebuild.pace import Pace

        check_name(name, "Store")
        given = check_names(fields)
        self.capabilities.check_writable()
        with report_to(on_progress) as report:
            return undeclare(self._backend, find_here(self._backend, name), given, Pace(report))

    def rollback(self, name: str, *, embedder: Embedder[Any] | None = None) -> Rebuilt:
        """Go back to the generation that the last `rebuild` replaced, including all later writes.

        A rebuild that failed or broke off is given up first. If none was finished before it, that is all: the store
        stays as it is.

        Parameters
        ----------
        name : str
        embedder : Embedder, optional
            The embedder of the previous generation, for texts that were written since.

        Raises
        ------
        StoreNotFound, StoreLocked, InvalidArgument
        """
        from .rebuild.rollback import rollback

        self.capabilities.check_writable()
        given = StoreEmbedder(embedder)
        entry = find_here(self._backend, check_name(name, "Store"))
        with log_duration("rebuild", "store %s rolled back", entry.name):
            return rollback(self._backend, entry, given)

    def drop_previous(self, name: str) -> bool:
        """Drop the generation that the last `rebuild` replaced, and return whether there was one.

        Until then it takes space, every write is noted for it, and `rollback` can go back to it.

        Raises
        ------
        StoreNotFound, StoreLocked
        """
        self.capabilities.check_writable()
        uid = find_here(self._backend, check_name(name, "Store")).uid
        with self._backend.builder(uid):
            previous = self._backend.find(uid=uid).previous
            if previous:
                self._backend.drop(uid, previous.id)
                log_step("rebuild", "previous generation of store %s dropped", name)
        return previous is not None

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Copy all stores while they are read and written; each copy is a snapshot of one moment.

        Parameters
        ----------
        target : str or path
            A directory that does not exist or is empty, as a path or a ``file:`` URL. It becomes a database like
            this one.

        Raises
        ------
        Unsupported
            The backend has tools of its own for backups; or the Database was opened read-only, because a
            backup has to block writers for a moment.
        InvalidArgument
            There is no database to copy, or the target is taken, lies inside of it or is no path.
        """
        self._backend.backup(check_empty_directory(target))

    def follow(self, names: Sequence[str] = ()) -> Follow:
        """Keep the engine that follows stores in step with them; see `Follow.run`.

        A write call feeds it too, once enough has piled up. One process that does nothing else keeps the time short
        for which searches compare what is new one by one.

        Parameters
        ----------
        names : sequence of str
            Which stores; all there are, also later, by default.

        Raises
        ------
        Unsupported
            The Database was connected without ``vectors=``.
        StoreNotFound, InvalidArgument
        """
        from .following import Follow

        if isinstance(names, str):  # which is a sequence too, of names with one letter
            raise InvalidArgument("names must be a list of the stores' names, not one str.")
        listed = [check_name(each, "Store") for each in names]
        if "milvus" not in self._backend.capabilities.indexes:
            raise Unsupported(
                "following",
                self._backend.capabilities.backend,
                "Connect to PostgreSQL with ?vectors=milvus://host:19530.",
            )
        self._backend.capabilities.check_writable()
        for each in listed:
            self.open(each)
        return Follow(lambda: listed or self.names(), self.open)

    def close(self) -> None:
        """Release connections, files and locks, also those of a successor. A second call does nothing."""
        self._route.close()

    def _open_existing(self, name: str, schema: Schema, given: StoreEmbedder) -> VectorStore:
        backend, entry = self._route.find(name)
        stored = entry.active.schema
        wanted = schema.with_dim(stored.width) if schema.dim is None else schema
        differences = stored.differences(wanted)
        if differences:
            raise SchemaMismatch(
                f"Store {name!r} exists with a different schema: {'; '.join(differences)}. "
                "Open it as it is with open(), or change it with rebuild()."
            )
        return VectorStore(backend, entry, given, self._route)


def _check_replicas(replicas: object, lag: object) -> None:
    if isinstance(replicas, str) or not isinstance(replicas, Sequence):
        raise InvalidArgument(f"replicas must be a list of URLs or engines, not {type(replicas).__name__}.")
    for each in replicas:
        registry.check_place(each)
    if not isinstance(lag, SupportsFloat) or not is_finite(lag) or float(lag) < 0:
        raise InvalidArgument(f"replica_lag must be seconds of at least 0, not {describe(lag)}.")


def _take_successor(url: object, successor: object) -> Successor | None:
    if isinstance(successor, Database):
        return Successor(None, successor._route)
    if successor is None:
        return None
    if successor is url or (isinstance(successor, str) and successor == url):
        raise InvalidArgument("The successor is this Database itself. Give the one that its stores move to.")
    try:
        return Successor(successor)
    except InvalidUrl as error:
        raise InvalidUrl(f"The successor cannot be used. {error}") from None


def _check_single(embedder: Embedder[Any] | None) -> Embedder[Any] | None:
    if isinstance(embedder, tuple):
        raise InvalidArgument("A new generation has one embedder. Only open() takes several, as (old, new).")
    return embedder
