"""Run a server while a process lives: ``python -m tests.server_owner MODULE PID FOLDER``.

It prints one line of JSON with the URL of the server, or with the reason why it did not start.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from servers import NoServer
from vecstore import VecstoreError


def wait_for_end(pid: int) -> None:
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        select.select([handle], [], [])
        os.close(handle)


def print_answer(**answer: str) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.close()


def main(module: str, anchor: int, folder: Path) -> None:
    try:
        with import_module(module).run_server(folder) as url:
            print_answer(url=url)
            wait_for_end(anchor)
    except (NoServer, VecstoreError, OSError) as error:
        logs = [] if isinstance(error, NoServer) else folder.glob("*/log")
        tails = [log.read_text(encoding="utf-8", errors="replace")[-2_000:] for log in logs]
        print_answer(reason="\n".join([str(error), *tails]).rstrip())
        wait_for_end(anchor)  # other workers read the reason from the folder
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
