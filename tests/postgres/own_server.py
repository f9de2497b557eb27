"""A PostgreSQL server that a single test may stop and kill."""

from __future__ import annotations

import ctypes
import os
import secrets
import select
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from servers.ports import reserve_port
from vecstore.backends.postgres.embedded.cluster import Cluster

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@contextmanager
def adopt_orphans() -> Iterator[None]:
    """Become the parent of a started server, because not every machine's first process reaps the dead at once."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


class OwnServer:
    """A server in a folder, on a loopback port and a Unix socket; a context manager that starts it.

    Parameters
    ----------
    folder : Path
    settings : mapping of str to str, optional
        Lines of postgresql.conf beside PostgreSQL's defaults, so writes are durable.
    """

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.port = reserve_port()
        self.password = secrets.token_hex(12)
        # After a kill, "fsync" opens every file of the data directory, which takes seconds.
        mine = {"listen_addresses": "127.0.0.1", "scram_iterations": "1", "recovery_init_sync_method": "syncfs"}
        self._cluster = Cluster(folder, self.port, {**mine, **(settings or {})}, synced=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop("immediate")

    @property
    def url(self) -> str:
        """The superuser's, through TCP, with a password."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def socket_url(self) -> str:
        """The superuser's, through the Unix socket, without a password."""
        return self._cluster.url

    def make_url(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        password = quote(self.password if password is None else password, safe="")
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        is_new = not self._cluster.data.exists()
        self._cluster.prepare()
        self._cluster.initialise()
        with adopt_orphans():
            self._cluster.start()
        if is_new:
            with psycopg.connect(self.socket_url, autocommit=True) as connection:
                command = sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(self.password))
                connection.execute(command)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        self._cluster.stop(mode)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """Kill all of the server's processes at once; return when they are gone."""
        postmaster = self.pid
        os.kill(postmaster, signal.SIGSTOP)  # or it would start new ones meanwhile
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii")
        victims = [(pid, os.pidfd_open(pid)) for pid in (*map(int, children.split()), postmaster)]
        for pid, _ in victims:
            os.kill(pid, signal.SIGKILL)
        for _, handle in victims:
            select.select([handle], [], [])
            os.close(handle)

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int((self._cluster.data / "postmaster.pid").read_bytes().split()[0])

    def answers(self) -> bool:
        return self._cluster.answers()

    def read_log(self) -> str:
        return (self._cluster.directory / "log").read_text(encoding="utf-8", errors="replace")

    def remove(self) -> None:
        """Stop the server and remove its folder."""
        self.stop("immediate")
        shutil.rmtree(self._cluster.directory)
