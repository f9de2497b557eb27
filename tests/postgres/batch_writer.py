"""Writes one batch after another until it is told to stop: ``python -m tests.postgres.batch_writer URL``.

Says ``acked N`` for each batch that was acknowledged, and ``lost N ERROR`` for each failed try, which it repeats.
"""

from __future__ import annotations

import sys
import threading

import vecstore
from vecstore import VecstoreError

from .stores import batch

PAUSE = 0.02


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(url: str) -> None:
    stopped = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        stopped.set()

    threading.Thread(target=listen, daemon=True).start()
    number = 0
    with vecstore.connect(url) as database:
        store = database.open("a")
        while not stopped.is_set():
            number += 1
            while not stopped.is_set():
                try:
                    written = store.upsert(batch(number))
                except VecstoreError as error:
                    say("lost", number, type(error).__name__)
                    stopped.wait(PAUSE)
                    continue
                say("acked", number, written)
                break
    say("end")


if __name__ == "__main__":
    main(sys.argv[1])
