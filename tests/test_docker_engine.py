from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing

from tests.lateness import Lateness
from tests.sources import ROOT

# In a process of its own: Docker's client leaves sockets open where it fails.
PROGRAM = "from tests.docker_engine import docker_answers; print(docker_answers())"


def test_a_docker_engine_that_does_not_answer_is_none() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent, Lateness() as lateness:
        assert answer(f"tcp://127.0.0.1:{silent.getsockname()[1]}") == "False"
        assert lateness.undisturbed() < 10  # 2 s, and the imports


def answer(engine: str) -> str:
    command = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "DOCKER_HOST": engine}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()
