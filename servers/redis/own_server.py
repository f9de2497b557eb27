"""A Redis server for a single test, which can stop and kill it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import redis

from servers.ports import reserve_port

from .daemon import Daemon, make_client
from .programs import find_programs

_SOCKET_BYTES = 107  # of sockaddr_un, without the terminating zero byte


class OwnServer(Daemon):
    """A server in a folder, on a loopback port and a Unix socket: a context manager that starts it.

    It has an append-only file that is synchronized each second, as in docker-compose.yml. After `kill` it may lack the
    writes of the last second or two: see ``WAITAOF``.

    Parameters
    ----------
    folder : Path
        Its path must be short because of the socket.
    settings : mapping of str to str, optional
        Lines of redis.conf, in its syntax.
    module_arguments : str
        Arguments of the search module on its ``loadmodule`` line, such as ``TIMEOUT 1 ON_TIMEOUT FAIL``.
    password : str, optional
        Of the default user. By default it is random.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        module_arguments: str = "",
        password: str | None = None,
    ) -> None:
        super().__init__(folder)
        self.port = reserve_port()
        self.password = password or secrets.token_hex(12)
        self.socket = self.folder / "redis.sock"
        surplus = len(os.fsencode(self.socket)) - _SOCKET_BYTES
        if surplus > 0:
            raise ValueError(f"{self.socket} is too long a path for a Unix socket, by {surplus} bytes.")
        self._settings = dict(settings or {})
        self._module_arguments = module_arguments

    @property
    def url(self) -> str:
        """The URL through TCP, with the password."""
        return self.make_url()

    @property
    def socket_url(self) -> str:
        """The URL through the Unix socket, with the password."""
        return f"unix://:{quote(self.password, safe='')}@{quote(str(self.socket))}"

    def make_url(self, user: str = "", password: str | None = None, database: int = 0) -> str:
        password = quote(self.password if password is None else password, safe="")
        return f"redis://{quote(user, safe='')}:{password}@127.0.0.1:{self.port}/{database}"

    def connect(self) -> redis.Redis:
        return make_client(self.socket_url)

    def make_replica(self, folder: Path, settings: Mapping[str, str] | None = None) -> OwnServer:
        """Return a replica of this server, with the same password. It is not started."""
        mine = {"replicaof": f"127.0.0.1 {self.port}"}
        return OwnServer(folder, {**mine, **(settings or {})}, password=self.password)

    def list_settings(self) -> list[str]:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": f'"{self.socket}"',
            "unixsocketperm": "700",
            "requirepass": f'"{self.password}"',
            # The server may be a replica, or become one when it is started again after a failover.
            "masterauth": f'"{self.password}"',
            # By default, a primary waits 5 s for more replicas before it sends its data.
            "repl-diskless-sync-delay": "0",
            "save": '""',
            "appendonly": "yes",
            "loadmodule": f'"{find_programs().search}" {self._module_arguments}'.rstrip(),
            **self._settings,
        }
        return [f"{key} {value}" for key, value in settings.items()]
