"""Keeps a server while a process lives: ``python -m tests.postgres.keeper PID FOLDER``.

Says in one line of JSON where the server is, or why there is none.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from vecstore import VecstoreError

from .server import NoServer, serving


def wait_for_end(pid: int) -> None:
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        select.select([handle], [], [])
        os.close(handle)


def say(**answer: str) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.close()


def main(anchor: int, folder: Path) -> None:
    try:
        with serving(folder) as url:
            say(url=url)
            wait_for_end(anchor)
    except (NoServer, VecstoreError, OSError) as error:
        log = folder / "pg" / "log"
        tail = log.read_text(encoding="utf-8", errors="replace")[-2_000:] if log.exists() else ""
        say(reason=f"{error}\n{tail}".rstrip())
        wait_for_end(anchor)  # the other workers read the reason in the folder
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
