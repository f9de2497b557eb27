"""The catalogue's tables, as the newest revision of ``migrations/`` leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
)


@dataclass(frozen=True, slots=True)
class CatalogueTables:
    """What the migrations own in one namespace.

    Attributes
    ----------
    stores : Table
        A store's name, and the ids of its generations.
    generations : Table
        What each generation is. Its records are in a separate table, which no migration touches.
    changes : Table
        Ids of changed records that a standby generation must still copy, at most once each.
    followers : Table
        Which generations another engine follows, see `followed`.
    notes : Table
        Ids of changed records of followed generations. A trigger writes them.
    left : Table
        Collections of the other engine that nothing names any more.
    """

    stores: Table
    generations: Table
    changes: Table
    followers: Table
    notes: Table
    left: Table


@lru_cache(maxsize=64)
def make_catalogue_tables(namespace: str) -> CatalogueTables:
    """Return the catalogue's tables in a namespace: always the same object, by which statements are cached."""
    metadata = MetaData(schema=namespace)
    numbers = Sequence("vecstore_change_seq", metadata=metadata, schema=namespace)
    return CatalogueTables(
        _make_stores(metadata), _make_generations(metadata), _make_changes(metadata, numbers),
        _make_followers(metadata), _make_notes(metadata, numbers), _make_left(metadata),
    )  # fmt: skip


def _make_stores(metadata: MetaData) -> Table:
    return Table(
        "vecstore_store",
        metadata,
        Column("uid", Text, nullable=False),
        Column("name", Text(collation="C"), nullable=False),
        Column("active", Text, nullable=False),
        Column("standby", Text),
        Column("standby_role", Text),
        PrimaryKeyConstraint("uid", name="vecstore_store_pkey"),
        UniqueConstraint("name", name="vecstore_store_name_key"),
        UniqueConstraint("active", name="vecstore_store_active_key"),
        UniqueConstraint("standby", name="vecstore_store_standby_key"),
        CheckConstraint(
            "(standby IS NULL) = (standby_role IS NULL) AND standby_role IN ('building', 'previous')",
            name="vecstore_store_standby_check",
        ),
    )


def _make_generations(metadata: MetaData) -> Table:
    return Table(
        "vecstore_generation",
        metadata,
        Column("id", Text, nullable=False),
        Column("store", Text, nullable=False),
        Column("schema", JSON, nullable=False),
        Column("identity", JSON(none_as_null=True)),
        Column("ef", Integer),
        Column("followed", Boolean, server_default=false(), nullable=False),
        PrimaryKeyConstraint("id", name="vecstore_generation_pkey"),
        ForeignKeyConstraint(
            ["store"], ["vecstore_store.uid"], name="vecstore_generation_store_fkey", ondelete="CASCADE"
        ),
        Index("vecstore_generation_store_idx", "store"),
    )


def _make_changes(metadata: MetaData, numbers: Sequence) -> Table:
    return Table(
        "vecstore_change",
        metadata,
        Column("generation", Text, nullable=False),
        Column("id", Text(collation="C"), nullable=False),
        Column("seq", BigInteger, server_default=numbers.next_value(), nullable=False),
        PrimaryKeyConstraint("generation", "id", name="vecstore_change_pkey"),
        Index("vecstore_change_seq_idx", "generation", "seq"),
    )


def _make_followers(metadata: MetaData) -> Table:
    return Table(
        "vecstore_follower",
        metadata,
        Column("generation", Text, nullable=False),
        Column("place", Text, nullable=False),
        Column("origin", Text, nullable=False),
        Column("collection", Text),
        Column("plan", JSON),
        Column("incoming", Text),
        Column("incoming_plan", JSON),
        Column("filled", Text(collation="C")),
        Column("applied", BigInteger, server_default="0", nullable=False),
        Column("forgotten", BigInteger, server_default="0", nullable=False),
        Column("counted", BigInteger),
        Column("counted_at", BigInteger),
        Column("sending", DateTime(timezone=True)),
        PrimaryKeyConstraint("generation", name="vecstore_follower_pkey"),
        ForeignKeyConstraint(
            ["generation"],
            ["vecstore_generation.id"],
            name="vecstore_follower_generation_fkey",
            ondelete="CASCADE",
        ),
    )


def _make_notes(metadata: MetaData, numbers: Sequence) -> Table:
    return Table(
        "vecstore_follower_note",
        metadata,
        Column("generation", Text, nullable=False),
        Column("id", Text(collation="C"), nullable=False),
        Column("seq", BigInteger, server_default=numbers.next_value(), nullable=False),
        Column("done", BigInteger, server_default="9223372036854775807", nullable=False),
        Column("noted", DateTime(timezone=True), server_default=func.clock_timestamp(), nullable=False),
        PrimaryKeyConstraint("generation", "id", name="vecstore_follower_note_pkey"),
        Index("vecstore_follower_note_done_idx", "generation", "done", "seq"),
    )


def _make_left(metadata: MetaData) -> Table:
    return Table(
        "vecstore_follower_left",
        metadata,
        Column("collection", Text, nullable=False),
        Column("place", Text, nullable=False),
        Column("origin", Text, nullable=False),
        PrimaryKeyConstraint("collection", name="vecstore_follower_left_pkey"),
    )
