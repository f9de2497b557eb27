"""The catalogue's revisions under Alembic; `vecstore.migrate` is the public name."""
