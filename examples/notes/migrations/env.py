"""What Alembic runs for each command: it compares and changes the database of the application."""

from __future__ import annotations

from alembic import context

from examples.notes.models import Base
from examples.notes.storage import engine, vectors
from vecstore.alembic import setup

setup(context, vectors)  # autogenerate and check know the triggers, and revisions have the operations for them

if context.is_offline_mode():
    context.configure(url=engine.url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
