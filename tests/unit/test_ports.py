"""Ports of servers that tests start: no two processes get the same one."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from servers.ports import reserve_port
from tests.sources import ROOT

RESERVE = "from servers.ports import reserve_port; print(reserve_port(), flush=True); input()"


@pytest.fixture
def foreign_port() -> Iterator[int]:
    """A port that another process has reserved, without listening on it."""
    with subprocess.Popen(
        [sys.executable, "-c", RESERVE], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.communicate("\n")
    assert process.returncode == 0


def test_a_port_that_is_reserved_or_in_use_is_not_drawn(foreign_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = reserve_port(), reserve_port()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        draws = iter([own, foreign_port, listener.getsockname()[1], other, 31_999, 31_998, 31_997])
        monkeypatch.setattr(secrets, "choice", lambda _: next(draws))
        assert reserve_port() in {31_999, 31_998, 31_997}
