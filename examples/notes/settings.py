"""What can be set from outside: environment variables, all of them optional."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

WORKERS = ("thread", "none")


class SettingsError(Exception):
    """An environment variable has a value that means nothing."""


@dataclass(frozen=True)
class Settings:
    """Where the notes and their vectors are, and how the application runs.

    Attributes
    ----------
    database_url : str
        ``NOTES_DATABASE_URL``: a URL of SQLAlchemy. ``postgresql://…`` means the driver psycopg.
    vectors_url : str
        ``NOTES_VECTORS_URL``: a URL of vecstore.
    worker : {"thread", "none"}
        ``NOTES_WORKER``: ``none`` if ``vecstore sync run examples.notes.storage:vectors`` does the work.
    port : int or None
        ``NOTES_PORT``: by default a free one.
    """

    database_url: str = "sqlite:///notes-data/notes.db"
    vectors_url: str = "file:./notes-data/vectors"
    worker: str = "thread"
    port: int | None = None


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of an environment; an empty variable counts as a missing one.

    Raises
    ------
    SettingsError
    """
    database_url = environment.get("NOTES_DATABASE_URL") or Settings.database_url
    worker = environment.get("NOTES_WORKER") or Settings.worker
    if worker not in WORKERS:
        raise SettingsError(f"NOTES_WORKER must be one of {', '.join(WORKERS)}.")
    port = environment.get("NOTES_PORT") or None
    if port is not None and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65_536):
        raise SettingsError("NOTES_PORT must be a number from 1 to 65535.")
    return Settings(
        database_url=re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", database_url),
        vectors_url=environment.get("NOTES_VECTORS_URL") or Settings.vectors_url,
        worker=worker,
        port=None if port is None else int(port),
    )
