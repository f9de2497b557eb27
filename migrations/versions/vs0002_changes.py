"""Create the change list: ids of changed records that a standby generation must still copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "vs0002"
down_revision = "vs0001"


def upgrade(op: Operations, namespace: str) -> None:
    """Create the list and the sequence that numbers its entries."""
    numbers = sa.Sequence("vecstore_change_seq", schema=namespace)
    op.execute(sa.schema.CreateSequence(numbers))
    op.create_table(
        "vecstore_change",
        sa.Column("generation", sa.Text, nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("seq", sa.BigInteger, server_default=numbers.next_value(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "id", name="vecstore_change_pkey"),
        schema=namespace,
    )
    op.create_index("vecstore_change_seq_idx", "vecstore_change", ["generation", "seq"], schema=namespace)
    op.execute(_OWNED.format(namespace=_quoted(op, namespace)))


def downgrade(op: Operations, namespace: str) -> None:
    """Drop the list and its sequence, unless a store has a standby generation."""
    op.execute(_REFUSAL.format(namespace=_quoted(op, namespace)))
    op.drop_table("vecstore_change", schema=namespace)


def _quoted(op: Operations, namespace: str) -> str:
    return op.get_context().dialect.identifier_preparer.quote(namespace)


_OWNED = "ALTER SEQUENCE {namespace}.vecstore_change_seq OWNED BY {namespace}.vecstore_change.seq"

# A separate statement, because SQL written to a file must refuse too. The lock keeps rebuilds out until the end.
_REFUSAL = """
DO $$
DECLARE
    found text;
BEGIN
    LOCK TABLE {namespace}.vecstore_store IN ACCESS EXCLUSIVE MODE;
    SELECT string_agg(name, ', ' ORDER BY name) INTO found
    FROM (SELECT name FROM {namespace}.vecstore_store WHERE standby IS NOT NULL ORDER BY name LIMIT 5) AS few;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VS001',
            MESSAGE = 'The change lists of these stores would be lost: ' || found
                || '. Finish their rebuilds, then call drop_previous for each.';
    END IF;
END $$
"""
