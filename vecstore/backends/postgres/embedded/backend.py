"""``postgresql+embedded:``: a `PostgresBackend` that starts its own server."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Self
from urllib.parse import quote

from vecstore.errors import MigrationRequired
from vecstore.urls import read_path

from ..backend import PostgresBackend
from ..followed.following import check_installed
from ..options import parse_options, parse_running_url
from .server import RunningServer, use_server


class EmbeddedBackend(PostgresBackend):
    """Stores in a PostgreSQL server that runs on a directory while a process uses it."""

    _running: RunningServer | None = None

    @classmethod
    def connect(cls, location: str, options: Mapping[str, str], *, migrating: bool = False) -> Self:
        """Start the server if it is not running, and open its database."""
        ours, _ = parse_options(options)
        check_installed(ours.vectors)
        directory = read_path(location, "postgresql+embedded")
        running = use_server(directory)
        try:
            backend = cls._open_url(parse_running_url(running.url), ours, migrating=migrating)
        except MigrationRequired as error:
            running.close()
            url = shlex.quote(f"postgresql+embedded://{quote(str(directory))}")
            command = f"vecstore migrate upgrade --url {url} --namespace {ours.namespace}"
            raise MigrationRequired(f"The database has no catalogue, or an older one. Run: {command}") from error
        except BaseException:
            running.close()
            raise
        backend._running = running
        backend._client.set_place_check(running.check_directory)
        return backend

    def close(self) -> None:
        super().close()
        if self._running and not self._has_caller_transaction:
            self._running.close()
