"""Make notes searchable: the outbox, and the triggers that note changed rows in it.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-30
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEYS = {"id": "uuid"}
_WATCHED = dict.fromkeys(("title", "body", "owner", "tag"), "text")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables as autogenerate wrote them, then the triggers."""
    op.create_table("vecstore_fence", sa.Column("id", _NUMBER, primary_key=True), sqlite_autoincrement=True)
    op.create_table(
        "vecstore_digest",
        sa.Column("target", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), nullable=False),
    )
    op.create_table(
        "vecstore_outbox",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("entered", sa.Double(), nullable=False),
        sa.Column("ready", sa.Double(), nullable=False, server_default=sa.text("0")),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("dead", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("reason", sa.Text()),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "vecstore_outbox_dead",
        "vecstore_outbox",
        ["target", "key"],
        postgresql_where=sa.text("dead"),
        sqlite_where=sa.text("dead IS 1"),
    )
    op.create_capture("note.search", "note", keys=_KEYS, watched=_WATCHED)  # type: ignore[attr-defined]


def downgrade() -> None:
    """Drop the triggers first: without the outbox they would refuse every change of a note."""
    op.drop_capture("note.search", "note", keys=_KEYS, watched=_WATCHED)  # type: ignore[attr-defined]
    for table in ("vecstore_outbox", "vecstore_digest", "vecstore_fence"):
        op.drop_table(table)
