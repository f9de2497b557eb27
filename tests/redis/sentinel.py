"""A sentinel, which promotes a replica when the primary does not answer."""

from __future__ import annotations

import select
import time
from pathlib import Path

import redis

from servers.ports import reserve_port
from servers.redis.daemon import PATIENCE, PAUSE, Daemon, make_client
from servers.redis.own_server import OwnServer


class Sentinel(Daemon):
    """A single sentinel: a context manager that starts it.

    It looks for replicas when it starts and then every ten seconds, so start the replicas first.

    Parameters
    ----------
    folder : Path
    primary : OwnServer
    service : str
        The name by which clients ask for the primary.
    """

    flags = ("--sentinel",)

    def __init__(self, folder: Path, primary: OwnServer, service: str = "vecstore") -> None:
        super().__init__(folder)
        self.port = reserve_port()
        self.service = service
        self._primary = primary

    @property
    def address(self) -> tuple[str, int]:
        """The argument of ``redis.sentinel.Sentinel([address])``. There is no password."""
        return "127.0.0.1", self.port

    def connect(self) -> redis.Redis:
        return make_client(f"redis://127.0.0.1:{self.port}")

    def read_primary_port(self) -> int | None:
        """Return the port of the primary; None while the sentinel cannot reach it or knows no replica of it."""
        with self.connect() as client:
            state = client.sentinel_masters()[self.service]
        is_down = state["is_sdown"] or state["is_odown"] or state["is_disconnected"]
        return None if is_down or not state["num-slaves"] else int(state["port"])

    def wait_for(self, primary: OwnServer) -> None:
        """Return when clients are sent to this server.

        Raises
        ------
        TimeoutError
            That took longer than three minutes.
        """
        deadline = time.monotonic() + PATIENCE
        while self.read_primary_port() != primary.port:
            if time.monotonic() > deadline:
                raise TimeoutError(f"The sentinel does not name {primary.port} as the primary.\n{self.read_log()}")
            select.select([], [], [], PAUSE)

    def expect_failover(self) -> None:
        """Fail over after half a second without an answer. Call it after the primary was killed.

        Before, the sentinel waits for a minute, because a primary on a busy machine may not answer for a while.
        """
        with self.connect() as client:
            client.execute_command("SENTINEL", "SET", self.service, "down-after-milliseconds", 500)

    def list_settings(self) -> list[str]:
        return [
            "bind 127.0.0.1",
            f"port {self.port}",
            f'dir "{self.folder}"',
            f"sentinel monitor {self.service} 127.0.0.1 {self._primary.port} 1",
            f'sentinel auth-pass {self.service} "{self._primary.password}"',
            f"sentinel down-after-milliseconds {self.service} 60000",
            f"sentinel failover-timeout {self.service} 2000",
        ]
