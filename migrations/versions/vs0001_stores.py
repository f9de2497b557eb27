"""Create the tables of stores and generations, and the extension `vector`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "vs0001"
down_revision = None

# An extension belongs to the database, not to a namespace. IF NOT EXISTS alone fails when two transactions create
# one at the same time.
_EXTENSION_LOCK = 8_387_236_824_069_403_491


def upgrade(op: Operations, namespace: str) -> None:
    """Create the tables. An extension that exists is left unchanged, in whatever schema it is."""
    op.execute(sa.select(sa.func.pg_catalog.pg_advisory_xact_lock(sa.literal(_EXTENSION_LOCK, sa.BigInteger))))
    # Without the schema's name, the caller's search_path would decide where it goes.
    op.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
    op.create_table(
        "vecstore_store",
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("active", sa.Text, nullable=False),
        sa.Column("standby", sa.Text),
        sa.Column("standby_role", sa.Text),
        sa.PrimaryKeyConstraint("uid", name="vecstore_store_pkey"),
        sa.UniqueConstraint("name", name="vecstore_store_name_key"),
        sa.UniqueConstraint("active", name="vecstore_store_active_key"),
        sa.UniqueConstraint("standby", name="vecstore_store_standby_key"),
        sa.CheckConstraint(
            "(standby IS NULL) = (standby_role IS NULL) AND standby_role IN ('building', 'previous')",
            name="vecstore_store_standby_check",
        ),
        schema=namespace,
    )
    op.create_table(
        "vecstore_generation",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("store", sa.Text, nullable=False),
        sa.Column("schema", sa.JSON, nullable=False),
        sa.Column("identity", sa.JSON),
        sa.Column("ef", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="vecstore_generation_pkey"),
        sa.ForeignKeyConstraint(
            ["store"],
            [f"{namespace}.vecstore_store.uid"],
            name="vecstore_generation_store_fkey",
            ondelete="CASCADE",
        ),
        schema=namespace,
    )
    op.create_index("vecstore_generation_store_idx", "vecstore_generation", ["store"], schema=namespace)


def downgrade(op: Operations, namespace: str) -> None:
    """Drop the tables, unless there are stores; the extension stays."""
    op.execute(_REFUSAL.format(namespace=_quoted(op, namespace)))
    op.drop_table("vecstore_generation", schema=namespace)
    op.drop_table("vecstore_store", schema=namespace)


def _quoted(op: Operations, namespace: str) -> str:
    return op.get_context().dialect.identifier_preparer.quote(namespace)


# A separate statement, because SQL written to a file must refuse too. The lock keeps new stores out until the end.
_REFUSAL = """
DO $$
DECLARE
    found text;
BEGIN
    LOCK TABLE {namespace}.vecstore_store IN ACCESS EXCLUSIVE MODE;
    SELECT string_agg(name, ', ' ORDER BY name) INTO found
    FROM (SELECT name FROM {namespace}.vecstore_store ORDER BY name LIMIT 5) AS few;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VS001',
            MESSAGE = 'These stores would be lost: ' || found || '. Drop them first.';
    END IF;
END $$
"""
