"""What the catalogue says of the engine that follows a generation, and the statements that change it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vecstore.errors import StoreCorrupt

from ..column_types import quote_name
from ..statements import Statement
from ..transaction import Runner

if TYPE_CHECKING:
    from vecstore.backends.milvus.indexes import IndexPlan
    from vecstore.metric import Metric

ORIGIN = (
    "CASE WHEN pg_is_in_recovery() THEN '' ELSE (SELECT system_identifier::text FROM pg_control_system()) || '/' || "
    "(SELECT oid::text FROM pg_database WHERE datname = current_database()) || '/' || "
    "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/' || '{ns}.vecstore_follower'::regclass::oid::text END"
)
"""Names the database, the history of its log, and the table of followers, of the namespace ``{ns}``.

A restored copy has another one, also where it was restored into the same database, and so has a server that took over.
"""
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Follower:
    """What follows a generation.

    Attributes
    ----------
    place : str
        The server, without secrets.
    is_ours : bool
        Whether it was made for this very database.
    collection : str or None
        What searches ask; None until it is filled.
    plan : mapping or None
        The index of it, as JSON.
    incoming : str or None
        A collection that is being filled, and takes the other's place.
    incoming_plan : mapping or None
    filled : str or None
        The last id that was copied to it; None before it is made.
    applied : int
        A timestamp of the engine. It has everything that is noted with it or below.
    forgotten : int
        Up to this one, notes that the engine has are forgotten.
    counted, counted_at : int or None
        How many records the collection had, when ``applied`` was that.
    unfinished : float or None
        How many seconds ago a round began that is not known to have ended.
    ef : int or None
        The generation's search effort.
    """

    place: str
    is_ours: bool
    collection: str | None
    plan: Mapping[str, Any] | None
    incoming: str | None
    incoming_plan: Mapping[str, Any] | None
    filled: str | None
    applied: int
    forgotten: int
    counted: int | None
    counted_at: int | None
    unfinished: float | None
    ef: int | None

    @property
    def has_collection(self) -> bool:
        """Whether there is one, filled or not."""
        return self.collection is not None or self.incoming is not None


def dump_plan(plan: IndexPlan) -> str:
    """Return an index as JSON for the catalogue."""
    return json.dumps({"name": plan.name, "params": dict(plan.params)})


def load_plan(data: Mapping[str, Any] | None, metric: Metric) -> IndexPlan:
    """Return an index from the catalogue's JSON.

    Raises
    ------
    StoreCorrupt
    """
    from vecstore.backends.milvus.indexes import restore_plan

    try:
        if data is None:
            raise KeyError("plan")
        found = restore_plan(data["name"], metric, {key: str(value) for key, value in data["params"].items()})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StoreCorrupt("The catalogue's description of what follows a store is damaged. Call reindex().") from error
    if found is None:
        raise StoreCorrupt("The catalogue names an index that this vecstore does not know. Call reindex().")
    return found


def explain_elsewhere(follower: Follower, place: str | None) -> str | None:
    """Say why nothing at a place follows a generation, although something does; None is a Database without a place."""
    if not follower.is_ours:
        return (
            "What follows the store was made for another database, of which this is a copy or a successor. "
            "reindex() makes it anew."
        )
    if follower.place != place:
        here = "." if place is None else "; reindex() moves it here."
        return f"{follower.place} follows the store. Connect with vectors= of it{here}"
    return None


class FollowerTable:
    """The statements about followers of one namespace. Each takes a runner; holding a transaction is up to the caller.

    Parameters
    ----------
    namespace : str
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        place = quote_name(namespace)
        self._texts = {name: _make(text, place) for name, text in _TEXTS.items()}

    def is_followed(self, runner: Runner, generation: str) -> bool:
        """Say whether anything follows a generation, which every role may ask that reads the catalogue."""
        return runner.run(self._texts["is followed"], {"generation": generation}) == [(True,)]

    def read(self, runner: Runner, generation: str) -> Follower | None:
        """Return what follows a generation."""
        rows = runner.run(self._texts["read"], {"generation": generation})
        return Follower(*rows[0]) if rows else None

    def count_notes(self, runner: Runner, generation: str) -> int:
        """Return how many records of a generation the engine may not have as they are."""
        return self.read_lag(runner, generation)[0]

    def read_lag(self, runner: Runner, generation: str) -> tuple[int, float]:
        """Return how many records are noted and wait, and for how many seconds the first of them has."""
        [(count, seconds)] = runner.run(self._texts["lag"], {"generation": generation})
        return int(count), max(0.0, float(seconds or 0.0))

    def describe(self, runner: Runner, generation: str) -> Mapping[str, str | int | float]:
        """Return what `stats` says of what follows a generation; nothing where nothing does."""
        if not self.is_followed(runner, generation):
            return _NOTHING
        if not self._may_read(runner):
            return {"followed by": "not told to a role that may not read vecstore_follower and vecstore_follower_note"}
        follower = self.read(runner, generation)
        if follower is None:
            return _NOTHING
        pending, lag = self.read_lag(runner, generation)
        waiting = {"seconds that the first waits": round(lag, 1)} if pending else {}
        return {"followed by": follower.place, "records that wait for it": pending, **waiting}

    def explain(self, runner: Runner, generation: str) -> str | None:
        """Say why a Database without the engine searches exactly, also to a role that may not read what follows."""
        if not self._may_read(runner):
            return "A Milvus server follows the store. Connect with vectors= of it."
        follower = self.read(runner, generation)
        return None if follower is None else explain_elsewhere(follower, None)

    def _may_read(self, runner: Runner) -> bool:
        return runner.run(self._texts["may read"], {}) == [(True,)]

    def begin(self, runner: Runner, generation: str, place: str, incoming: str, plan: str) -> None:
        """Describe a collection that is to be filled. What is there at another place, or of another origin, goes."""
        values = {"generation": generation, "place": place, "incoming": incoming, "plan": plan}
        runner.run(self._texts["leave others"], values)
        runner.run(self._texts["begin"], values)
        runner.run(self._texts["mark"], {"generation": generation, "followed": True})

    def end(self, runner: Runner, generation: str) -> None:
        """Forget what follows a generation; its collections are left to be dropped."""
        values = {"generation": generation}
        runner.run(self._texts["leave"], values)
        runner.run(self._texts["forget notes"], values)
        runner.run(self._texts["end"], values)
        runner.run(self._texts["mark"], {**values, "followed": False})

    def mark_sending(self, runner: Runner, generation: str) -> None:
        """Note that requests are about to be sent."""
        runner.run(self._texts["sending"], {"generation": generation})

    def keep_filled(self, runner: Runner, generation: str, incoming: str, filled: str, stamp: int) -> None:
        """Note up to which id an incoming collection is filled, unless another took its place, and when."""
        values = {"generation": generation, "incoming": incoming, "filled": filled, "stamp": stamp}
        runner.run(self._texts["filled"], values)

    def promote(self, runner: Runner, generation: str, incoming: str, before: str | None) -> None:
        """Put an incoming collection in the place of the one before, which is left to be dropped."""
        values = {"generation": generation, "incoming": incoming, "before": before}
        runner.run(self._texts["promote"], values)
        if before is not None:
            runner.run(self._texts["leave old"], values)

    def lose(self, runner: Runner, generation: str, collection: str) -> None:
        """Note that a collection is damaged or gone: no search asks it any more."""
        runner.run(self._texts["lose"], {"generation": generation, "collection": collection})

    def restart(self, runner: Runner, generation: str, collection: str) -> None:
        """Note that an incoming collection is damaged or gone: it is made again, and filled from its beginning."""
        runner.run(self._texts["restart"], {"generation": generation, "collection": collection})

    def keep_count(self, runner: Runner, generation: str, counted: int, stamp: int) -> None:
        """Note how many records the collection has after a timestamp."""
        runner.run(self._texts["counted"], {"generation": generation, "counted": counted, "stamp": stamp})

    def list_left(self, runner: Runner, place: str) -> list[str]:
        """Return the collections that nothing names any more."""
        return [name for (name,) in runner.run(self._texts["list left"], {"place": place})]

    def forget_left(self, runner: Runner, collections: list[str]) -> None:
        """Forget collections that are dropped."""
        runner.run(self._texts["forget left"], {"collections": collections})


def _make(text: str, place: str) -> Statement:
    written = text.replace("{origin}", ORIGIN).replace("{ns}", place)
    return Statement(written, _NOTHING, writes=not text.startswith("SELECT"))


_LEAVING = (
    "INSERT INTO {ns}.vecstore_follower_left (collection, place, origin) "
    "SELECT name, place, origin FROM {ns}.vecstore_follower CROSS JOIN LATERAL (VALUES (collection), (incoming)) "
    "AS named(name) WHERE name IS NOT NULL AND generation = %(generation)s "
)
_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "is followed": "SELECT followed FROM {ns}.vecstore_generation WHERE id = %(generation)s",
        "read": "SELECT place, origin = {origin}, collection, plan, incoming, incoming_plan, filled, applied, "
        "forgotten, counted, counted_at, extract(epoch FROM clock_timestamp() - sending)::float8, ef "
        "FROM {ns}.vecstore_follower f JOIN {ns}.vecstore_generation g ON g.id = generation "
        "WHERE generation = %(generation)s",
        "may read": "SELECT has_table_privilege('{ns}.vecstore_follower', 'SELECT') "
        "AND has_table_privilege('{ns}.vecstore_follower_note', 'SELECT')",
        "lag": "SELECT count(*), extract(epoch FROM clock_timestamp() - min(noted))::float8 "
        "FROM {ns}.vecstore_follower_note WHERE generation = %(generation)s AND done = 9223372036854775807",
        "leave others": _LEAVING + "AND (name = incoming OR place <> %(place)s OR origin <> {origin}) "
        "ON CONFLICT DO NOTHING",
        "begin": "INSERT INTO {ns}.vecstore_follower AS f (generation, place, origin, incoming, incoming_plan) "
        "VALUES (%(generation)s, %(place)s, {origin}, %(incoming)s, %(plan)s::json) "
        "ON CONFLICT (generation) DO UPDATE SET place = excluded.place, origin = excluded.origin, "
        "incoming = excluded.incoming, incoming_plan = excluded.incoming_plan, filled = NULL, "
        "collection = CASE WHEN f.place = excluded.place AND f.origin = excluded.origin THEN f.collection END, "
        "applied = CASE WHEN f.place = excluded.place AND f.origin = excluded.origin THEN f.applied ELSE 0 END, "
        "forgotten = CASE WHEN f.place = excluded.place AND f.origin = excluded.origin THEN f.forgotten ELSE 0 END",
        "mark": "UPDATE {ns}.vecstore_generation SET followed = %(followed)s "
        "WHERE id = %(generation)s AND followed <> %(followed)s",
        "leave": _LEAVING + "ON CONFLICT DO NOTHING",
        "forget notes": "DELETE FROM {ns}.vecstore_follower_note WHERE generation = %(generation)s",
        "end": "DELETE FROM {ns}.vecstore_follower WHERE generation = %(generation)s",
        # What the engine is sent has to be on disk: a server that crashed must not lack what the engine has.
        "sending": "UPDATE {ns}.vecstore_follower SET sending = clock_timestamp() "
        "FROM (SELECT set_config('synchronous_commit', 'on', true)) AS durable WHERE generation = %(generation)s",
        "filled": "UPDATE {ns}.vecstore_follower SET applied = greatest(applied, %(stamp)s), "
        "filled = CASE WHEN incoming = %(incoming)s THEN %(filled)s ELSE filled END, "
        "sending = NULL WHERE generation = %(generation)s",
        "leave old": "INSERT INTO {ns}.vecstore_follower_left (collection, place, origin) "
        "SELECT %(before)s, place, origin FROM {ns}.vecstore_follower "
        "WHERE generation = %(generation)s AND collection = %(incoming)s ON CONFLICT DO NOTHING",
        "promote": "UPDATE {ns}.vecstore_follower SET collection = incoming, plan = incoming_plan, incoming = NULL, "
        "incoming_plan = NULL, filled = NULL, counted = NULL, counted_at = NULL "
        "WHERE generation = %(generation)s AND incoming = %(incoming)s",
        "lose": "WITH lost AS (UPDATE {ns}.vecstore_follower SET collection = NULL, plan = NULL "
        "WHERE generation = %(generation)s AND collection = %(collection)s RETURNING place, origin) "
        "INSERT INTO {ns}.vecstore_follower_left (collection, place, origin) "
        "SELECT %(collection)s, place, origin FROM lost ON CONFLICT DO NOTHING",
        "restart": "UPDATE {ns}.vecstore_follower SET filled = NULL "
        "WHERE generation = %(generation)s AND incoming = %(collection)s",
        "counted": "UPDATE {ns}.vecstore_follower SET counted = %(counted)s, counted_at = %(stamp)s "
        "WHERE generation = %(generation)s AND applied = %(stamp)s",
        "list left": "SELECT collection FROM {ns}.vecstore_follower_left "
        "WHERE place = %(place)s AND origin = {origin} ORDER BY collection",
        "forget left": "DELETE FROM {ns}.vecstore_follower_left WHERE collection = ANY (%(collections)s::text[])",
    }
)
