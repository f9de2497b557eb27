from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import closing

from tests.sources import ROOT

# In a process of its own: Docker's client leaves sockets open where it fails.
PROGRAM = "from tests.docker_engine import docker_answers; print(docker_answers())"


def test_a_docker_engine_that_does_not_answer_is_none() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        begin = time.monotonic()
        assert answer(f"tcp://127.0.0.1:{silent.getsockname()[1]}") == "False"
        assert time.monotonic() - begin < 10  # 2 s, and the imports on a busy machine


def answer(engine: str) -> str:
    command = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "DOCKER_HOST": engine}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()
