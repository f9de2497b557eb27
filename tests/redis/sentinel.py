"""A sentinel, which promotes a replica if the primary does not answer."""

from __future__ import annotations

import select
import time
from pathlib import Path

import redis

from servers.ports import free_port
from servers.redis.daemon import PATIENCE, PAUSE, Daemon, impatient
from servers.redis.own_server import OwnServer


class Sentinel(Daemon):
    """A sentinel that decides alone; a context manager that starts it.

    It looks for replicas when it starts and then every ten seconds, so start them first.

    Parameters
    ----------
    folder : Path
    primary : OwnServer
    service : str
        What clients call the primary, whichever server that is.
    """

    flags = ("--sentinel",)

    def __init__(self, folder: Path, primary: OwnServer, service: str = "vecstore") -> None:
        super().__init__(folder)
        self.port = free_port()
        self.service = service
        self._primary = primary

    @property
    def address(self) -> tuple[str, int]:
        """For ``redis.sentinel.Sentinel([address])``; there is no password."""
        return "127.0.0.1", self.port

    def client(self) -> redis.Redis:
        return impatient(f"redis://127.0.0.1:{self.port}")

    def primary_port(self) -> int | None:
        """Return the port of the primary; None while the sentinel cannot reach it."""
        with self.client() as client:
            state = client.sentinel_masters()[self.service]
        is_doubted = state["is_sdown"] or state["is_odown"] or state["is_disconnected"]
        return None if is_doubted else int(state["port"])

    def wait_for(self, primary: OwnServer) -> None:
        """Return when clients are sent to this server.

        Raises
        ------
        TimeoutError
            That took longer than a minute.
        """
        deadline = time.monotonic() + PATIENCE
        while self.primary_port() != primary.port:
            if time.monotonic() > deadline:
                raise TimeoutError(f"The sentinel does not take {primary.port} for the primary.\n{self.log_text()}")
            select.select([], [], [], PAUSE)

    def lines(self) -> list[str]:
        return [
            "bind 127.0.0.1",
            f"port {self.port}",
            f'dir "{self.folder}"',
            f"sentinel monitor {self.service} 127.0.0.1 {self._primary.port} 1",
            f'sentinel auth-pass {self.service} "{self._primary.password}"',
            f"sentinel down-after-milliseconds {self.service} 500",
            f"sentinel failover-timeout {self.service} 2000",
        ]
