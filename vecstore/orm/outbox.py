"""The outbox: a table of the application's database with the keys of changed rows, and the sequence of fences.

Triggers insert a row in the transaction that changes a row of a model. It holds a key and nothing of the content, so
that whoever works on it reads the present state, however often it changed. Rows are claimed by a lease, never by a
cursor: their ids commit out of order.
"""

# Longer than 300 lines because every statement on the outbox is in this class.

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    case,
    cast,
    delete,
    false,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.mysql import VARCHAR
from sqlalchemy.dialects.postgresql import OID, REGCLASS

from ..errors import InvalidArgument

OUTBOX = "vecstore_outbox"
FENCE = "vecstore_fence"
DIGESTS = "vecstore_digest"
CLOCKS: Mapping[str, str] = MappingProxyType(
    {
        "postgresql": "extract(epoch FROM clock_timestamp())",
        "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
        "mysql": "unix_timestamp(sysdate(6))",
        "mariadb": "unix_timestamp(sysdate(6))",
    }
)
"""Seconds since 1970 by the clock of the database, of which all processes have the same one."""
LARGEST_FENCE_LAG = 60_000
"""Milliseconds that the sequence of fences may lie behind the clock before it is lifted.

So many more draws would have to come between two statements of the one that lifts before a number was drawn twice.
"""
_LIFTING = 0x76656373_00000000
"""Added to the number of the sequence in the name of an advisory lock, apart from those of applications."""
_ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")
_MYSQL = ("mysql", "mariadb")
"""They return nothing from an UPDATE, and a DELETE does not read what it deletes from."""
_log = logging.getLogger("vecstore.orm")


def make_word(length: int) -> Text:
    """Return the type of a text that is a part of a key, whose length MySQL limits; its letters differ by case."""
    return Text().with_variant(VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), *_MYSQL)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed row of the outbox.

    Attributes
    ----------
    id : int
    target : str
        The name of a `SearchedModel`.
    key : str
        JSON.
    attempts : int
        How often it failed.
    """

    id: int
    target: str
    key: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What of one declaration waits in the outbox.

    Attributes
    ----------
    pending : int
    dead : int
    lag : float
        For how many seconds the oldest pending change has waited.
    reason : str or None
        Why one of them could not be worked off.
    """

    pending: int = 0
    dead: int = 0
    lag: float = 0.0
    reason: str | None = None


class Outbox:
    """The tables, and what is done with them. Every method that takes an engine has a short transaction of its own.

    Parameters
    ----------
    metadata : MetaData
        Gets the tables, and one with digests of the texts whose vectors are in rows, so that whatever creates the
        application's tables creates these.

    Raises
    ------
    InvalidArgument
        It has them already.
    """

    def __init__(self, metadata: MetaData) -> None:
        if any(table.name == OUTBOX for table in metadata.tables.values()):
            raise InvalidArgument("There is a VectorORM for this declarative base already. Use that one.")
        # An id that was used again would let a worker that slept acknowledge a change that it has not seen.
        self.rows = Table(
            OUTBOX,
            metadata,
            Column("id", _ROW_NUMBER, primary_key=True),
            Column("target", make_word(150), nullable=False),
            Column("key", make_word(600), nullable=False),
            Column("entered", Double, nullable=False),
            Column("ready", Double, nullable=False, server_default=text("0")),
            Column("attempts", Integer, nullable=False, server_default=text("0")),
            # A word that PostgreSQL and SQLite know, as one migration may be for both.
            Column("dead", Boolean, nullable=False, server_default=text("false")),
            Column("reason", Text),
            sqlite_autoincrement=True,
        )
        columns = self.rows.c
        Index(
            "vecstore_outbox_dead",
            columns.target,
            columns.key,
            postgresql_where=columns.dead,
            sqlite_where=columns.dead.is_(True),
        )
        self.digests = Table(
            DIGESTS,
            metadata,
            Column("target", make_word(150), primary_key=True),
            Column("key", make_word(600), primary_key=True),
            Column("digest", Text, nullable=False),
        )
        self.fences = Table(FENCE, metadata, Column("id", _ROW_NUMBER, primary_key=True), sqlite_autoincrement=True)
        self._has_warned = False

    def claim(
        self, engine: Engine, targets: Sequence[str], limit: int, lease: float, *, newest: bool = False
    ) -> list[Claim]:
        """Take up to ``limit`` rows that are ready, for ``lease`` seconds; return them in the order of their ids.

        The oldest ones are taken, or the newest ones.
        """
        columns = self.rows.c
        now = read_clock(engine)
        ready = (
            select(columns.id)
            .where(columns.ready <= now, columns.dead.is_(False), columns.target.in_(targets))
            .order_by(columns.id.desc() if newest else columns.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        if engine.dialect.name in _MYSQL:
            with engine.begin() as connection:
                found = ready.add_columns(columns.target, columns.key, columns.attempts)
                claims = [Claim(*row) for row in connection.execute(found)]
                leased = update(self.rows).where(columns.id.in_([claim.id for claim in claims]))
                if claims:
                    connection.execute(leased.values(ready=now + lease))
            return claims
        picked = ready.cte("picked")
        taken = (
            update(self.rows)
            .where(columns.id.in_(select(picked.c.id)))
            .values(ready=now + lease)
            .returning(columns.id, columns.target, columns.key, columns.attempts)
        )
        with engine.begin() as connection:
            rows = connection.execute(taken).all()
        return sorted((Claim(*row) for row in rows), key=lambda claim: claim.id)

    def draw_fence(self, engine: Engine) -> int:
        """Return a number above all that were drawn before.

        Call it after the claim is committed and before the rows are read. Whoever draws a larger one reads later, so
        that what the largest one writes is the state after all changes that were claimed.

        The numbers follow the clock in milliseconds: a sequence that was dropped and made again by a migration, or that
        comes from a backup, is lifted above what its stores have.
        """
        drawn, moment = self._draw(engine)
        if drawn < moment - LARGEST_FENCE_LAG:
            self.lift_fence(engine, moment, if_allowed=True)
            drawn, _ = self._draw(engine)
            if drawn < moment and not self._has_warned:
                self._has_warned = True
                _log.warning(
                    "the sequence of %s is behind the clock, and this role may not set it: if a migration made it "
                    "anew, stores refuse what is written. Grant UPDATE on it, or run verify(fix=True) as another role",
                    FENCE,
                )
        return drawn

    def _draw(self, engine: Engine) -> tuple[int, int]:
        """Return the next number, and the database's clock in milliseconds."""
        fence = self.fences.c.id
        with engine.begin() as connection:
            clock = read_clock(connection)
            if connection.dialect.name == "postgresql":
                number = func.nextval(self._name_sequence(connection))
                drawn, moment = connection.execute(select(number, clock)).one()
            elif connection.dialect.name in _MYSQL:
                drawn = connection.execute(insert(self.fences)).lastrowid
                moment = connection.execute(select(clock)).scalar_one()
            else:
                drawn, moment = connection.execute(insert(self.fences).returning(fence, clock)).one()
            if connection.dialect.name != "postgresql":
                connection.execute(delete(self.fences).where(fence < int(drawn)))
        return int(drawn), int(float(moment) * 1_000)

    def acknowledge(self, engine: Engine, claims: Sequence[Claim]) -> None:
        """Forget rows whose state is written, and dead ones of the same keys."""
        columns = self.rows.c
        for part in _cut(sorted(claim.id for claim in claims)):
            with engine.begin() as connection:
                connection.execute(delete(self.rows).where(columns.id.in_(self._lock(connection, part))))
        for target in {claim.target for claim in claims}:
            self._forget_dead(engine, target, {claim.key: claim.id for claim in claims if claim.target == target})

    def postpone(
        self, engine: Engine, claims: Sequence[Claim], seconds: float, reason: str | None, *, failed: bool
    ) -> None:
        """Give rows back, to be claimed again after some seconds.

        Parameters
        ----------
        engine : Engine
        claims : sequence of Claim
        seconds : float
        reason : str or None
        failed : bool
            Whether it counts as an attempt.
        """
        values = {"ready": read_clock(engine) + seconds, "reason": reason}
        if failed:
            values["attempts"] = self.rows.c.attempts + 1
        self._change(engine, claims, values)

    def bury(self, engine: Engine, claims: Sequence[Claim], reason: str) -> None:
        """Mark rows as dead: no worker claims them until `revive`."""
        self._change(engine, claims, {"dead": True, "reason": reason, "attempts": self.rows.c.attempts + 1})

    def revive(self, connection: Connection, targets: Sequence[str]) -> int:
        """Make dead rows, and those that wait for another attempt, ready at once; return how many were dead."""
        columns = self.rows.c
        named = columns.target.in_(targets)
        ready = {"ready": 0.0, "attempts": 0}
        connection.execute(update(self.rows).where(named, columns.dead.is_(False), columns.attempts > 0).values(ready))
        revived = connection.execute(
            update(self.rows).where(named, columns.dead.is_(True)).values({**ready, "dead": False})
        )
        return revived.rowcount

    def begin_writing(self, connection: Connection) -> None:
        """Make a transaction of SQLite the one that writes, before it reads anything.

        One that has read is refused at once, however long it would wait, where another one writes meanwhile: what it
        has read would be out of date.
        """
        if connection.dialect.name == "sqlite":
            connection.execute(delete(self.rows).where(false()))

    def find_last(self, connection: Connection) -> int:
        """Return the largest id of the committed rows, 0 without any."""
        return int(connection.execute(select(func.coalesce(func.max(self.rows.c.id), 0))).scalar_one())

    def count_up_to(self, connection: Connection, targets: Sequence[str], last: int) -> tuple[int, int]:
        """Return how many rows of some declarations up to an id are pending, and how many are dead."""
        columns = self.rows.c
        dead = func.coalesce(func.sum(cast(columns.dead, Integer)), 0)
        counted = select(func.count(), dead).where(columns.id <= last, columns.target.in_(targets))
        total, buried = connection.execute(counted).one()
        return int(total) - int(buried), int(buried)

    def note(self, connection: Connection, target: str, keys: Sequence[str]) -> None:
        """Note keys as changed, as a trigger does."""
        now = read_clock(connection)
        rows = [{"target": target, "key": key} for key in keys]
        if rows:
            connection.execute(insert(self.rows).values(entered=now), rows)

    def list_pending(self, connection: Connection, target: str) -> list[str]:
        """Return the keys of a declaration that are in the outbox, dead ones too."""
        columns = self.rows.c
        return list(connection.execute(select(columns.key).where(columns.target == target)).scalars())

    def summarize(self, connection: Connection) -> dict[str, Backlog]:
        """Return what waits, by target."""
        columns = self.rows.c
        waits = func.sum(case((columns.dead, 0), else_=1))
        oldest = func.min(case((columns.dead, None), else_=columns.entered))
        reason = func.max(columns.reason)
        grouped = select(columns.target, waits, func.count() - waits, read_clock(connection) - oldest, reason)
        return {
            target: Backlog(int(pending), int(dead), max(float(lag or 0), 0.0), reason)
            for target, pending, dead, lag, reason in connection.execute(grouped.group_by(columns.target))
        }

    def lift_fence(self, engine: Engine, least: int, *, if_allowed: bool = False) -> None:
        """Let all fences that are drawn from now on be above a number; a sequence that is there already stays.

        Parameters
        ----------
        engine : Engine
        least : int
        if_allowed : bool
            Do nothing where the role has the right to draw numbers on PostgreSQL, and not that to set them.
        """
        with engine.begin() as connection:
            if connection.dialect.name != "postgresql":
                # Where somebody else lifts at the same moment, one of both is enough.
                word = "OR IGNORE" if connection.dialect.name == "sqlite" else "IGNORE"
                connection.execute(insert(self.fences).prefix_with(word).values(id=least))
                return
            # Two that lift would otherwise set the sequence back to numbers that were drawn between them.
            sequence = self._name_sequence(connection)
            oid = cast(cast(sequence, OID), BigInteger)
            connection.execute(select(func.pg_advisory_xact_lock(_LIFTING + oid)))
            number = literal(least, BigInteger)
            lifted = select(func.setval(sequence, number)).where(
                func.coalesce(func.pg_sequence_last_value(sequence), 0) < number
            )
            if if_allowed:
                lifted = lifted.where(func.has_sequence_privilege(cast(sequence, OID), "UPDATE"))
            connection.execute(lifted)

    def _name_sequence(self, connection: Connection) -> ColumnElement[Any]:
        table = connection.dialect.identifier_preparer.format_table(self.fences)
        return cast(func.pg_get_serial_sequence(literal(table, Text), "id"), REGCLASS)

    def _forget_dead(self, engine: Engine, target: str, seen: Mapping[str, int]) -> None:
        """Forget the dead rows of keys that are older than the change that was seen of each."""
        columns = self.rows.c
        for part in _cut(sorted(seen)):
            dead = select(columns.id, columns.key).where(columns.dead, columns.target == target, columns.key.in_(part))
            with engine.connect() as connection:
                older = [id_ for id_, key in connection.execute(dead) if id_ < seen[key]]
            if older:
                with engine.begin() as connection:
                    connection.execute(delete(self.rows).where(columns.id.in_(older)))

    def _change(self, engine: Engine, claims: Sequence[Claim], values: Mapping[str, Any]) -> None:
        columns = self.rows.c
        for part in _cut(sorted(claim.id for claim in claims)):
            with engine.begin() as connection:
                connection.execute(
                    update(self.rows).where(columns.id.in_(self._lock(connection, part))).values(**values)
                )

    def _lock(self, connection: Connection, ids: Sequence[int]) -> Any:
        """Return ids, as a list or as a statement, whose rows are locked in order.

        A worker that slept may change or acknowledge the same rows at this moment.
        """
        id_ = self.rows.c.id
        locked = select(id_).where(id_.in_(ids)).order_by(id_).with_for_update()
        if connection.dialect.name in _MYSQL:
            return list(connection.execute(locked).scalars())
        return select(locked.cte("locked").c.id)


def read_clock(engine: Engine | Connection) -> ColumnElement[float]:
    """Return the expression of the database's clock, in seconds since 1970."""
    return literal_column(CLOCKS[engine.dialect.name], Double)


def _cut(values: Sequence[Any], size: int = 500) -> Iterable[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))
