"""Let another engine follow the vectors of a generation: what it holds, and the ids that it must still read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "vs0004"
down_revision = "vs0003"

# What `done` is until an engine has the record: above every timestamp.
_WAITING = "9223372036854775807"


def upgrade(op: Operations, namespace: str) -> None:
    """Create the tables, and the function by which the tables of followed generations note what changes in them."""
    followed = sa.Column("followed", sa.Boolean, server_default=sa.false(), nullable=False)
    op.add_column("vecstore_generation", followed, schema=namespace)
    op.create_table(
        "vecstore_follower",
        sa.Column("generation", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("collection", sa.Text),
        sa.Column("plan", sa.JSON),
        sa.Column("incoming", sa.Text),
        sa.Column("incoming_plan", sa.JSON),
        sa.Column("filled", sa.Text(collation="C")),
        sa.Column("applied", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("forgotten", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("counted", sa.BigInteger),
        sa.Column("counted_at", sa.BigInteger),
        sa.Column("sending", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("generation", name="vecstore_follower_pkey"),
        sa.ForeignKeyConstraint(
            ["generation"],
            [f"{namespace}.vecstore_generation.id"],
            name="vecstore_follower_generation_fkey",
            ondelete="CASCADE",
        ),
        schema=namespace,
    )
    numbers = sa.Sequence("vecstore_change_seq", schema=namespace)
    op.create_table(
        "vecstore_follower_note",
        sa.Column("generation", sa.Text, nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("seq", sa.BigInteger, server_default=numbers.next_value(), nullable=False),
        sa.Column("done", sa.BigInteger, server_default=_WAITING, nullable=False),
        sa.Column("noted", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "id", name="vecstore_follower_note_pkey"),
        schema=namespace,
    )
    op.create_index(
        "vecstore_follower_note_done_idx", "vecstore_follower_note", ["generation", "done", "seq"], schema=namespace
    )
    op.create_table(
        "vecstore_follower_left",
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("collection", name="vecstore_follower_left_pkey"),
        schema=namespace,
    )
    op.execute(_NOTING.format(namespace=_quoted(op, namespace)))


def downgrade(op: Operations, namespace: str) -> None:
    """Drop all of that, unless a generation is followed or something of ours is left in the other engine."""
    op.execute(_REFUSAL.format(namespace=_quoted(op, namespace)))
    op.execute(f"DROP FUNCTION {_quoted(op, namespace)}.vecstore_note_change()")
    for table in ("vecstore_follower_left", "vecstore_follower_note", "vecstore_follower"):
        op.drop_table(table, schema=namespace)
    op.drop_column("vecstore_generation", "followed", schema=namespace)


def _quoted(op: Operations, namespace: str) -> str:
    return op.get_context().dialect.identifier_preparer.quote(namespace)


# A trigger and no part of our statements: so nobody writes past it, also not a vecstore that was connected before, or
# an administrator by hand. It runs as its owner, so that writers need no right to the notes.
_NOTING = """
CREATE FUNCTION {namespace}.vecstore_note_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO {namespace}.vecstore_follower_note (generation, id)
    SELECT TG_ARGV[0], changed.id FROM changed ORDER BY changed.id COLLATE "C"
    ON CONFLICT (generation, id) DO UPDATE SET seq = DEFAULT, done = DEFAULT, noted = DEFAULT;
    RETURN NULL;
END
$body$
"""

# A separate statement, because SQL written to a file must refuse too. The locks keep new followers out until the end.
# What a restored copy has of its original's collections is not ours to drop, and the original has that list too.
_REFUSAL = """
DO $$
DECLARE
    found text;
BEGIN
    LOCK TABLE {namespace}.vecstore_store, {namespace}.vecstore_follower IN ACCESS EXCLUSIVE MODE;
    SELECT string_agg(name, ', ' ORDER BY name) INTO found
    FROM (
        SELECT DISTINCT name FROM {namespace}.vecstore_store
        JOIN {namespace}.vecstore_generation g ON store = uid
        JOIN {namespace}.vecstore_follower ON generation = g.id
        ORDER BY name LIMIT 5
    ) AS few;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VS001',
            MESSAGE = 'Another engine follows these stores: ' || found || '. Call reindex(Flat()) for each.';
    END IF;
    SELECT string_agg(collection, ', ' ORDER BY collection) INTO found
    FROM (
        SELECT collection FROM {namespace}.vecstore_follower_left
        WHERE origin = CASE WHEN pg_is_in_recovery() THEN '' ELSE
            (SELECT system_identifier::text FROM pg_control_system()) || '/'
            || (SELECT oid::text FROM pg_database WHERE datname = current_database()) || '/'
            || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/'
            || '{namespace}.vecstore_follower'::regclass::oid::text END
        ORDER BY collection LIMIT 5
    ) AS few;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VS001',
            MESSAGE = 'These collections are still to be dropped in the other engine: ' || found
                || '. Run vecstore follow --once.';
    END IF;
END $$
"""
