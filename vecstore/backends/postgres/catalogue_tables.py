"""The catalogue's tables, as the newest revision of ``migrations/`` leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
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
    numbers : Sequence
        Numbers the changes.
    """

    stores: Table
    generations: Table
    changes: Table
    numbers: Sequence


@lru_cache(maxsize=64)
def make_catalogue_tables(namespace: str) -> CatalogueTables:
    """Return the catalogue's tables in a namespace: always the same object, by which statements are cached."""
    metadata = MetaData(schema=namespace)
    numbers = Sequence("vecstore_change_seq", metadata=metadata, schema=namespace)
    return CatalogueTables(
        _make_stores(metadata), _make_generations(metadata), _make_changes(metadata, numbers), numbers
    )


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
