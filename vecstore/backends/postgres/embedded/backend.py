"""``postgresql+embedded:``: a `PostgresBackend` with a server of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from vecstore.errors import MigrationRequired

from ..backend import PostgresBackend
from ..options import of_running, parse
from .server import Running, directory_of, server


class EmbeddedBackend(PostgresBackend):
    """Stores in PostgreSQL that runs on a directory while some process uses it."""

    _running: Running | None = None

    @classmethod
    def connect(cls, location: str, options: Mapping[str, str], *, migrating: bool = False) -> Self:
        """Start the server unless it runs, and open its database."""
        ours, _ = parse(options)
        running = server(directory_of(location))
        try:
            backend = cls._at(of_running(running.url), ours, migrating=migrating)
        except MigrationRequired as error:
            running.close()
            command = f"vecstore migrate upgrade --url postgresql+embedded:{location} --namespace {ours.namespace}"
            raise MigrationRequired(f"The database has no catalogue, or an older one. Run: {command}") from error
        except BaseException:
            running.close()
            raise
        backend._running = running
        return backend

    def close(self) -> None:
        super().close()
        if self._running and not self._joined:
            self._running.close()
