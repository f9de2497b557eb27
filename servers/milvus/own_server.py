"""A Milvus server in a folder: it can be stopped, killed, started again on its data, and ends with this process."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from pymilvus.grpc_gen import milvus_pb2
from pymilvus.grpc_gen.milvus_pb2_grpc import MilvusServiceStub

from servers import NoServer
from servers.ports import reserve_port

from .programs import PORT, find_program, make_environment, write_settings

PATIENCE = (45, 90, 180)
"""Seconds to wait for each of three starts: a machine may be busy."""
_PAUSE = 0.1
_ENDING = 60
"""Seconds that the server has to end in order."""
_ROOT = Path(__file__).parents[2]
# The kernel kills the process when the *thread* that started it ends, so one thread is kept only for this.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="milvus-starter")


class OwnServer:
    """A server on a port of the loopback address: a context manager that starts it and kills it.

    Parameters
    ----------
    folder : Path
        Holds its settings, its data and ``log``. It is created if it is missing.
    settings : mapping of str to str, optional
        Of milvus.yaml by their dotted names, such as ``dataCoord.segment.maxIdleTime``.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self.port = reserve_port()
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[str] | None = None
        self._handle: int | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"milvus://{self.address}"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the server itself, which runs behind the process that relays to it."""
        if not self.is_running:
            raise ProcessLookupError("The server was not started, or it was stopped.")
        return self._pid

    def launch(self) -> None:
        """Start the process unless it runs. It does not answer yet.

        Raises
        ------
        NoServer
            It cannot have a network of its own.
        """
        if self.is_running:
            return
        self.kill()
        write_settings(self.folder)
        with socket.create_server(("127.0.0.1", self.port)) as listener, (self.folder / "log").open("ab") as log:
            self._process = _STARTER.submit(self._open, listener.fileno(), log.fileno()).result()
        said = ""
        if self._process.stdout is not None:
            with self._process.stdout as answer:
                said = answer.readline().strip()
        if not said.isdigit():
            self.kill()
            raise NoServer(f"Milvus listens on all addresses, so it needs a network namespace. {said}")
        self._pid = int(said)
        self._handle = os.pidfd_open(self._pid)

    def _open(self, listener: int, log: int) -> subprocess.Popen[str]:
        words = [str(listener), str(PORT), str(find_program()), "run", "standalone"]
        return subprocess.Popen(
            [sys.executable, "-m", "servers.milvus.namespace", *words],
            cwd=self.folder,
            env={**make_environment(self.folder, self._settings), "PYTHONPATH": str(_ROOT)},
            pass_fds=[listener],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C goes to the tests, which then end it
            umask=0o077,
        )

    def start(self) -> None:
        """Start the process unless it runs, and return when it answers, after 8 s and more.

        Raises
        ------
        NoServer
            It ended, or did not answer in any of three attempts.
        """
        for patience in PATIENCE:
            self.launch()
            if self._wait(patience):
                return
            self.kill()
        raise NoServer(f"Milvus did not start. The end of its log:\n{self.read_log()[-2_000:]}")

    def _wait(self, patience: float) -> bool:
        """Wait until the server answers; return whether it does so in time."""
        deadline, pause = time.monotonic() + patience, threading.Event()
        while not self.is_answering():
            if not self.is_running or time.monotonic() > deadline:
                return False
            pause.wait(_PAUSE)
        return True

    def is_answering(self) -> bool:
        """Return whether all parts of the server are ready."""
        with grpc.insecure_channel(self.address) as channel:
            stub = MilvusServiceStub(channel)
            try:
                return bool(stub.CheckHealth(milvus_pb2.CheckHealthRequest(), timeout=5).isHealthy)
            except grpc.RpcError:
                return False

    def stop(self) -> None:
        """Ask the process to end, and return when it has; kill it if it takes too long."""
        if self.is_running and self._handle is not None:
            os.kill(self._pid, signal.SIGTERM)
            select.select([self._handle], [], [], _ENDING)
        self.kill()

    def kill(self) -> None:
        """Kill the process at once, and return when it has ended."""
        if self._handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            select.select([self._handle], [], [])
            os.close(self._handle)
            self._handle = None
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def wipe(self) -> None:
        """Kill the process and remove its data, as somebody might who sets the server up anew."""
        self.kill()
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def read_log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")
