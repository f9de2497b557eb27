"""The table of notes, and what of it is searched."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vecstore.orm import searchable

TITLE, NAME, BODY = 120, 40, 5_000
"""The longest title, name of an owner or tag, and body, in characters."""


class Base(DeclarativeBase):
    """The base of all models, whose metadata Alembic compares with the database."""


def now() -> datetime:
    """Return the time in UTC, without the zone, which SQLite does not keep."""
    return datetime.now(UTC).replace(tzinfo=None)


class Note(Base):
    """A note. Its key is made with the empty form, so that a form that is sent twice makes one note."""

    __tablename__ = "note"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(TITLE))
    body: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(String(NAME), index=True)
    tag: Mapped[str] = mapped_column(String(NAME), index=True)
    changed_at: Mapped[datetime] = mapped_column(default=now, onupdate=now, index=True)
    version: Mapped[int] = mapped_column()

    search = searchable("title", "body", fields=("owner", "tag"), into="store:notes")

    # An UPDATE of a version that is no longer the stored one changes no row, and SQLAlchemy raises StaleDataError.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads it once
