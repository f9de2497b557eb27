"""Locks that outlast a call: held by a connection that lives, and no longer than a lease.

The token of a lease names the connection of its holder. The server knows when that is gone, so a killed process holds
nothing; a machine that vanished with its network holds what it had until the lease ends.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vecstore.errors import StorageError, StoreLocked

from .link import Link, checked, now
from .scripts import RELEASE_LEASE, RENEW_LEASE, TAKE_LEASE, Script

SECONDS = 30.0
"""How long a lease lasts that nobody renews."""
_PAUSE = 0.01


class Leases:
    """What one Database holds, all on one connection of its own."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @contextmanager
    def held(self, key: str, refusal: str, wait: float = 0.0) -> Iterator[str]:
        """Hold a lease as long as the context lasts; gives its token.

        Raises
        ------
        StoreLocked
            Somebody else holds it, for longer than ``wait`` seconds.
        """
        with self._link.kept() as connection:
            number = self._link.exchange(connection, "CLIENT", "ID")
            token = f"{number}:{secrets.token_hex(8)}"
            self._take(key, token, refusal, wait)
            ended = threading.Event()
            keeper = threading.Thread(
                target=self._keep, args=(connection, key, token, ended), name="vecstore-lease", daemon=True
            )
            keeper.start()
            try:
                yield token
            finally:
                ended.set()
                keeper.join()
                with suppress(StorageError):  # it ends with the connection
                    self._eval(RELEASE_LEASE, key, token)

    def is_alive(self, token: str) -> bool:
        """Say whether the connection of a token's holder is still there; where nobody may ask, it is."""
        [reply] = self._link.ask([("CLIENT", "LIST", "ID", token.partition(":")[0])])
        return not isinstance(reply, bytes) or bool(reply.strip())

    def wait_for(self, key: str, token: str, pause: float) -> None:
        """Wait a moment for the holder of a lease, or end it where the holder is gone."""
        if self.is_alive(token):
            self._link.pause(pause)
        else:
            self._eval(RELEASE_LEASE, key, token)

    def _take(self, key: str, token: str, refusal: str, wait: float) -> None:
        end, gone = now() + wait, ""
        while True:
            holder = self._eval(TAKE_LEASE, key, token, int(SECONDS * 1000), gone)
            if holder is None:
                return
            gone = holder.decode()
            if self.is_alive(gone):
                gone = ""
                if now() >= end:
                    raise StoreLocked(refusal)
                self._link.pause(_PAUSE)

    def _keep(self, connection: Any, key: str, token: str, ended: threading.Event) -> None:
        """Renew a lease until it ends or is lost, which whoever relies on it finds out from the server."""
        while not ended.wait(SECONDS / 3):
            try:
                renewed = self._link.exchange(connection, "EVAL", RENEW_LEASE.text, 1, key, token, int(SECONDS * 1000))
            except StorageError:
                return
            if not renewed:
                return

    def _eval(self, script: Script, key: str, *arguments: Any) -> Any:
        return checked(self._link.ask([("EVAL", script.text, 1, key, *arguments)])[0])
