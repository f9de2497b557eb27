"""The process that reads documents, as this one sees it: started on use, replaced when a document ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..blocks import Block
from ..exits import Failure
from . import limits
from .kinds import Format
from .parts import BrokenDocument, DocumentPart, DocumentText

READY = "ready\n"
_SECONDS_TO_END = 10


class ReaderProcess:
    """Reads documents one by one in another process, which `limits` bounds.

    It is a context manager. The other process starts with the first document.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            _end(self._process)

    def read(self, path: Path, kind: Format, encoding: str | None = None) -> DocumentText:
        """Return the text of a document.

        Raises
        ------
        BrokenDocument
            It is damaged, encrypted or too large, or it took too long.
        """
        if self._process is None:
            self._process = _start()
        process = self._process
        request = {
            "path": str(path), "module": kind.module, "encoding": encoding, "seconds": limits.MAX_SECONDS,
            "max_bytes": kind.max_bytes, "max_memory": limits.MAX_MEMORY_BYTES,
        }  # fmt: skip
        line = _ask(process, json.dumps(request) + "\n")
        if not line.endswith("\n"):
            self._process = None
            raise BrokenDocument(_explain_end(_end(process)))
        return _read_answer(json.loads(line))


def _start() -> subprocess.Popen[str]:
    # The same modules as in this process, and none from the working directory.
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "vecstore.cli.formats.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", env=environment,
    )  # fmt: skip
    if process.stdout is None or process.stdout.readline() != READY:
        process.kill()
        _end(process)
        raise Failure("The process that reads documents does not start. Try `python -m vecstore.cli.formats.worker`.")
    return process


def _ask(process: subprocess.Popen[str], request: str) -> str:
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(request)
        process.stdin.flush()
        return process.stdout.readline()
    except BrokenPipeError:
        return ""


def _end(process: subprocess.Popen[str]) -> int:
    """Return the exit code of a process that ends, and close what is left of it."""
    try:
        code = process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    for stream in (process.stdin, process.stdout):
        try:
            if stream is not None:
                stream.close()
        except BrokenPipeError:  # a request that was not read
            continue
    return code


def _explain_end(code: int) -> str:
    if code == -signal.SIGALRM:
        return f"its reader took longer than {limits.MAX_SECONDS} s"
    if code == 1:
        return "damaged, or not of the format that its ending stands for"
    return f"damaged, or needs more than {limits.MAX_MEMORY_BYTES >> 20:,} MiB: its reader crashed"


def _read_answer(answer: dict[str, Any]) -> DocumentText:
    if "error" in answer:
        raise BrokenDocument(answer["error"])
    parts = [
        DocumentPart(
            part["text"], [Block(*block) for block in part["blocks"]], [(line, no) for line, no in part["numbers"]]
        )
        for part in answer["parts"]
    ]
    return DocumentText(parts, answer["title"], [(place, why) for place, why in answer["gaps"]], answer["outputs"])
