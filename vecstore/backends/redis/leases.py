"""Locks that outlast a call: leases that end with the connection of their holder.

The token of a lease names its holder's connection. The server knows when this is closed, so the lease of a killed
process can be taken at once. If the holder's machine lost its network, the lease lasts until it expires.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vecstore.errors import StorageError, StoreLocked

from .client import Client
from .failures import check_reply
from .scripts import RELEASE_LEASE, RENEW_LEASE, TAKE_LEASE, Script

SECONDS = 30.0
"""How long a lease lasts without being renewed."""
_PAUSE = 0.01


class Leases:
    """Takes leases, each on a separate connection."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @contextmanager
    def hold(self, key: str, refusal: str, wait: float = 0.0) -> Iterator[str]:
        """Hold a lease for as long as the context lasts, and yield its token.

        Raises
        ------
        StoreLocked
            Another process holds it for longer than ``wait`` seconds.
        """
        with self._client.hold_connection() as connection:
            number = self._client.execute_on(connection, "CLIENT", "ID")
            token = f"{number}:{secrets.token_hex(8)}"
            self._take(key, token, refusal, wait)
            ended = threading.Event()
            renewer = threading.Thread(
                target=self._renew, args=(connection, key, token, ended), name="vecstore-lease", daemon=True
            )
            renewer.start()
            try:
                yield token
            finally:
                ended.set()
                renewer.join()
                with suppress(StorageError):  # it ends with the connection
                    self._evaluate(RELEASE_LEASE, key, token)

    def is_alive(self, token: str) -> bool:
        """Return whether a token's holder is still connected, which is assumed if the user may not list connections."""
        [reply] = self._client.pipeline([("CLIENT", "LIST", "ID", token.partition(":")[0])])
        return not isinstance(reply, bytes) or bool(reply.strip())

    def wait_for(self, key: str, token: str, pause: float) -> None:
        """Wait a moment for the holder of a lease, or release it if the holder is gone."""
        if self.is_alive(token):
            self._client.wait(pause)
        else:
            self._evaluate(RELEASE_LEASE, key, token)

    def _take(self, key: str, token: str, refusal: str, wait: float) -> None:
        end, gone = time.monotonic() + wait, ""
        while True:
            holder = self._evaluate(TAKE_LEASE, key, token, int(SECONDS * 1000), gone)
            if holder is None:
                return
            gone = holder.decode()
            if self.is_alive(gone):
                gone = ""
                if time.monotonic() >= end:
                    raise StoreLocked(refusal)
                self._client.wait(_PAUSE)

    def _renew(self, connection: Any, key: str, token: str, ended: threading.Event) -> None:
        """Renew a lease until it ends or is lost; scripts that depend on it check it on the server."""
        while not ended.wait(SECONDS / 3):
            try:
                renewed = self._client.execute_on(
                    connection, "EVAL", RENEW_LEASE.text, 1, key, token, int(SECONDS * 1000)
                )
            except StorageError:
                return
            if not renewed:
                return

    def _evaluate(self, script: Script, key: str, *arguments: Any) -> Any:
        return check_reply(self._client.pipeline([("EVAL", script.text, 1, key, *arguments)])[0])
