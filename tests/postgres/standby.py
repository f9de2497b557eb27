"""A real standby of a test's own server, made by ``pg_basebackup``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from servers.ports import reserve_port
from vecstore.backends.postgres.embedded.cluster import Cluster

from .own_server import OwnServer, adopt_orphans

PATIENCE = 60


class Standby:
    """A standby that streams from a primary; a context manager that makes, starts and stops it."""

    def __init__(self, primary: OwnServer, folder: Path) -> None:
        self._primary = primary
        self._cluster = Cluster(folder, reserve_port(), {}, synced=False)

    def __enter__(self) -> Self:
        self._cluster.prepare()
        source = psycopg.conninfo.conninfo_to_dict(self._primary.socket_url)
        command = [
            "pg_basebackup", "--pgdata=data", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
            f"--host={source['host']}", f"--port={source['port']}", f"--username={source['user']}",
        ]  # fmt: skip
        self._cluster._run(*command)
        with (self._cluster.data / "postgresql.auto.conf").open("a", encoding="ascii") as settings:
            settings.write(f"port = {self._cluster.port}\nhot_standby_feedback = on\n")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return self._primary.url.replace(f":{self._primary.port}/", f":{self._cluster.port}/")

    def start(self) -> None:
        with adopt_orphans():
            self._cluster.start()

    def stop(self) -> None:
        self._cluster.stop("immediate")

    def run(self, statement: str) -> None:
        """Run a statement as its superuser."""
        with psycopg.connect(self._cluster.url, autocommit=True) as link:
            link.execute(statement.encode())

    def promote(self) -> None:
        self.run(f"SELECT pg_promote(true, {PATIENCE})")
