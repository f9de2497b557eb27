"""A process that ends with objects of ours still there: Python may take their modules apart first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vecstore.backends.shared.deadlines import Socket

# What an early module keeps goes last, after the names in all other modules.
PROGRAM = """
import codecs, os, sys, vecstore
from vecstore.backends.shared.deadlines import Socket
kept = vecstore.connect(f"file:{sys.argv[1]}"), Socket(os.open(os.devnull, os.O_RDONLY), owned=True)
codecs.kept = [*sys.modules.values()], kept
"""


def test_a_socket_that_is_closed_by_then_leaves_nothing_to_close() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        Socket(-1, owned=False)


def test_nothing_is_said_of_what_was_never_closed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "kb")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
