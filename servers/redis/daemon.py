"""A Redis process that can be started, stopped and killed. It ends with this process."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from servers import NoServer

from .programs import find_programs

_TIMEOUT = 30
"""Seconds that a client waits for an answer."""
PATIENCE = 180
PAUSE = 0.005
"""Seconds to wait at most, and between two attempts."""
# The kernel kills the process when the *thread* that started it ends, so one thread is kept only for this. `setpriv`
# requests it, because a `preexec_fn` may deadlock a process that has threads.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="redis-starter")
_LEASH = ("setpriv", "--pdeathsig", "KILL", "--")


class Daemon(ABC):
    """A program of Redis in a folder: a context manager that starts and kills it.

    Parameters
    ----------
    folder : Path
        Holds ``redis.conf``, ``log`` and the data. It is created if it is missing.
    """

    flags: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_configured = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    @abstractmethod
    def list_settings(self) -> list[str]:
        """Return the lines of redis.conf at the first start. The program may rewrite the file later."""

    @abstractmethod
    def connect(self) -> redis.Redis:
        """Return a client for the caller to close. It waits for half a minute at most and never retries."""

    def launch(self) -> None:
        """Start the process unless it runs. It may not answer yet."""
        if self.is_running:
            return
        found = find_programs()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration = self.folder / "redis.conf"
        if not self._is_configured:
            configuration.write_text("\n".join([*self.list_settings(), ""]), encoding="utf-8")
            configuration.chmod(0o600)
            self._is_configured = True
        command = [*_LEASH, str(found.server), str(configuration), *self.flags]
        with (self.folder / "log").open("ab") as log:
            self._process = _STARTER.submit(
                subprocess.Popen,
                command,
                cwd=self.folder,
                env=found.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C goes to the tests, which then end it
                umask=0o077,
            ).result()

    def start(self) -> None:
        """Start the process unless it runs, and return when it answers and has loaded its data.

        Raises
        ------
        NoServer
            It ended, or did not answer for three minutes.
        """
        self.launch()
        deadline = time.monotonic() + PATIENCE
        handle = os.pidfd_open(self.pid)
        try:
            while not self.is_answering():
                ended, _, _ = select.select([handle], [], [], PAUSE)
                if ended or time.monotonic() > deadline:
                    self.kill()
                    raise NoServer(f"Redis did not start. The end of its log:\n{self.read_log()[-2_000:]}")
        finally:
            os.close(handle)

    def stop(self) -> None:
        """Terminate the process, which writes its data first, and return when it has ended."""
        if self._process:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def kill(self) -> None:
        """Kill the process at once, and return when it has ended."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """Kill the process and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ProcessLookupError("The server was not started, or it was stopped.")
        return self._process.pid

    def is_answering(self) -> bool:
        """Return whether the server answers. It does not while it loads its data."""
        with self.connect() as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                raise
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def read_log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")


def make_client(url: str) -> redis.Redis:
    """Return a client that waits for half a minute at most and never retries."""
    return redis.Redis.from_url(
        url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
