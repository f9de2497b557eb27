"""The process that parses documents. It reads requests from stdin and answers on stdout, one line of JSON each.

A parser that needs too long is ended by an alarm, also inside C code; one that needs too much memory by the system's
limit on this process. Any error that no reader expects ends the process too: `process` starts another one.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from ...errors import MissingExtra
from . import limits
from .parts import BrokenDocument, DocumentText
from .process import READY


def main() -> None:
    """Answer requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends this process
    answers = _take_stdout()
    answers.write(READY)
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        signal.alarm(request["seconds"])
        _limit_memory(request["max_memory"])
        answer = json.dumps(answer_request(request))
        signal.alarm(0)
        answers.write(answer + "\n")
        answers.flush()


def answer_request(request: dict[str, Any]) -> dict[str, Any]:
    """Return the text of a document as JSON data, or ``{"error": reason}``."""
    path = Path(request["path"])
    try:
        reader = import_module(f"{__package__}.{request['module']}")
        document: DocumentText = reader.read(path, request["max_bytes"], request["encoding"])
        return _encode(document)
    except BrokenDocument as error:
        return {"error": error.reason}
    except MemoryError:
        return {"error": f"needs more than {request['max_memory'] >> 20:,} MiB of memory"}
    except RecursionError:
        return {"error": "nested too deeply"}
    except MissingExtra as error:
        return {"error": str(error)}
    except OSError as error:
        return {"error": f"unreadable: {error.strerror}" if error.strerror else "damaged"}


def _encode(document: DocumentText) -> dict[str, Any]:
    if sum(len(part.text) for part in document.parts) > limits.MAX_TEXT_CHARACTERS:
        raise BrokenDocument(f"holds more than {limits.MAX_TEXT_CHARACTERS >> 20} million characters")
    parts = [
        {
            "text": part.text,
            "blocks": [(block.start, block.end, block.level, block.title) for block in part.blocks],
            "numbers": part.numbers,
        }
        for part in document.parts
    ]
    return {"parts": parts, "title": document.title, "gaps": document.gaps, "outputs": document.outputs}


def _take_stdout() -> TextIO:
    """Return a stream to stdout that nothing else in this process writes to."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def _limit_memory(size: int) -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:  # a system that does not enforce the limit either
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = pages * resource.getpagesize() + size
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


if __name__ == "__main__":
    main()
