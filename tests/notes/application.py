"""The application as a process of its own, as ``make example`` starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.sources import ROOT

COMMAND = [sys.executable, "-W", "error", "-m", "examples.notes"]
_PATIENCE = 60.0


@dataclass(frozen=True)
class Application:
    """A running application and a client, which does not follow redirects."""

    url: str
    client: httpx.Client
    process: subprocess.Popen[str]

    def get(self, path: str, **query: str) -> httpx.Response:
        return self.client.get(path, params=query)

    def post(self, path: str, **form: str) -> httpx.Response:
        return self.client.post(path, data=form)

    def search(self, query: str, **filters: str) -> list[str]:
        """Return the titles that a search finds once no change waits for the worker."""
        page = self.read_settled(q=query, **filters)
        return re.findall(r'<h3 id="n\d+"><a href="[^"]+">(.*?)</a></h3>', re.sub("</?mark>", "", page))

    def read_settled(self, **query: str) -> str:
        """Return the page of a search once no change waits."""
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends:
            answer = self.get("/", **query)
            assert answer.status_code == 200, answer.text
            if "all of them searchable" in answer.text:
                return str(answer.text)
        raise AssertionError(f"changes still wait: {answer.text[-300:]}")

    def add(self, **values: str) -> str:
        """Add a note by its form, and return its address."""
        action = find_action(self.get("/notes/new").text)
        answer = self.post(action, **{"title": "A title", "body": "A body.", "owner": "Eve", "tag": "test"} | values)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"]).partition("?")[0]


def find_action(page: str) -> str:
    """Return the address that the form of a page is sent to."""
    [action] = re.findall(r'<form class="edit" method="post" action="([^"]+)"', page)
    return str(action)


def find_version(page: str) -> str:
    [version] = re.findall(r'name="version" value="(\d+)"', page)
    return str(version)


def make_environment(values: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOTES_")}
    return inherited | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | dict(values)


@contextmanager
def run_application(folder: Path, **environment: str) -> Iterator[Application]:
    """Start it in a folder, and end it as Ctrl-C does; that must work and print nothing to stderr."""
    process = start(folder, **environment)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.fullmatch(r"Notes: (http://127\.0\.0\.1:\d+)/  \(Ctrl-C stops it\)\n", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        with httpx.Client(base_url=found[1], timeout=_PATIENCE) as client:
            yield Application(found[1], client, process)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=_PATIENCE)
    assert (process.returncode, out, err) == (0, "\nStopped.\n", ""), (process.returncode, out, err)


def start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        COMMAND,
        cwd=folder,
        env=make_environment(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
