"""Fills a disk, or a file up to its limit, with writes; then frees space and continues.

``python -m tests.file.full_disk_trials DIRECTORY (disk|limit) SEED COUNT`` prints one line of JSON for each
trial. For ``disk``, DIRECTORY is a separate small file system.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.file.samples import Model, Store, connect_backend, make_model, make_rows, read_contents
from vecstore.errors import StorageFailed


def fill(store: Store, draw: random.Random) -> int:
    """Write until there is no space left; return the number of writes."""
    for number in range(10_000):
        size = draw.choice([1, 5, 70, 300, 500])
        first = draw.randrange(3_000)
        try:
            store.upsert(range(first, first + size), number)
        except StorageFailed:
            return number
    raise AssertionError("the disk never filled up")


def go_on(store: Store, model: Model) -> None:
    store.backend.close()
    store.backend, store.model = connect_backend(store.place), model
    store.upsert(range(0, 3_000, 20), 99)
    store.check()


def run_trial(place: Path, draw: random.Random, free_space: Callable[[], object]) -> dict[str, object]:
    store = Store.create(place)
    store.upsert(range(100), 1)
    written = fill(store, draw)
    model = dict(store.model)
    assert read_contents(store.backend, store.active, limit=5_000) == model, "the same object reads something else"
    assert read_contents(connect_backend(place), store.active, limit=5_000) == model, (
        "a new object reads something else"
    )
    free_space()
    batch = make_rows(range(200), 98)
    try:
        # If only space was missing, the same object can continue.
        store.backend.write(store.active, batch, insert=False)
        model |= make_model(batch)
        same = True
    except StorageFailed:
        same = False
    go_on(store, model)
    store.backend.close()
    return {"written": written, "same": same}


def run_on_full_disk(directory: Path, draw: random.Random) -> dict[str, object]:
    # The size of the file that stays varies where the disk fills up; the one that is removed frees enough space.
    (directory / "stays").write_bytes(bytes(draw.randrange(300_000)))
    goes = directory / "goes"
    goes.write_bytes(bytes(900_000))
    return run_trial(directory / "kb", draw, goes.unlink)


def run_at_file_limit(directory: Path, draw: random.Random) -> dict[str, object]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    Store.create(directory / "kb").backend.close()
    shutil.rmtree(directory / "kb")
    resource.setrlimit(resource.RLIMIT_FSIZE, (draw.randrange(60_000, 400_000), hard))
    try:
        return run_trial(directory / "kb", draw, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def main(directory: Path, way: str, seed: int, count: int) -> None:
    for number in range(count):
        draw = random.Random(f"{seed} {way} {number}")
        result = (run_on_full_disk if way == "disk" else run_at_file_limit)(directory, draw)
        print(json.dumps({"trial": number, **result}), flush=True)  # noqa: T201
        with suppress(FileNotFoundError):
            shutil.rmtree(directory / "kb")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
