"""``postgresql+embedded:``: a `PostgresBackend` with a server of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from vecstore.errors import MigrationRequired

from ..backend import PostgresBackend
from ..options import parse_options, parse_running_url
from .server import RunningServer, parse_directory, use_server


class EmbeddedBackend(PostgresBackend):
    """Stores in PostgreSQL that runs on a directory while some process uses it."""

    _running: RunningServer | None = None

    @classmethod
    def connect(cls, location: str, options: Mapping[str, str], *, migrating: bool = False) -> Self:
        """Start the server unless it runs, and open its database."""
        ours, _ = parse_options(options)
        running = use_server(parse_directory(location))
        try:
            backend = cls._open_url(parse_running_url(running.url), ours, migrating=migrating)
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
        if self._running and not self._is_joined:
            self._running.close()
