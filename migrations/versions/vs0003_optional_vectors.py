"""Allow records without a vector, which earlier versions would take for removed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "vs0003"
down_revision = "vs0002"


def upgrade(op: Operations, namespace: str) -> None:
    """Change no table: the revision alone keeps earlier versions out, and a store's schema says what it allows."""


def downgrade(op: Operations, namespace: str) -> None:
    """Refuse while a store may hold such records."""
    op.execute(_REFUSAL.format(namespace=op.get_context().dialect.identifier_preparer.quote(namespace)))


# A separate statement, because SQL written to a file must refuse too. The lock keeps new stores out until the end.
_REFUSAL = """
DO $$
DECLARE
    found text;
BEGIN
    LOCK TABLE {namespace}.vecstore_store IN ACCESS EXCLUSIVE MODE;
    SELECT string_agg(name, ', ' ORDER BY name) INTO found
    FROM (
        SELECT DISTINCT name FROM {namespace}.vecstore_store
        JOIN {namespace}.vecstore_generation ON store = uid AND schema->>'vectors' = 'optional'
        ORDER BY name LIMIT 5
    ) AS few;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VS001',
            MESSAGE = 'Records without a vector would be lost in these stores: ' || found
                || '. Give every record a vector and rebuild them with vectors=''required'', then call drop_previous.';
    END IF;
END $$
"""
