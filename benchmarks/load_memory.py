"""Peak memory of loading Parquet into a store without an index: ``python -m benchmarks.load_memory``.

Two files of generated rows, one with eight times the rows of the other, in row groups of 10,000, are each loaded by a
process of its own. The bar: the large one takes at most 1.3 times the peak of the small one, and 240 bytes for each
further row, which its id and fields take in memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

import vecstore
from vecstore import Flat, Schema, fields

from .arrow_table import make_table
from .corpus import Corpus
from .memory import read_peak_mib
from .sources import DIM, SEED

ROWS, SCALE, GROUP = 62_666, 8, 10_000
FACTOR, BYTES_PER_ROW = 1.3, 240


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both, or with ``--load`` be the process that is measured; return 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load_memory", description="Memory of bulk loads.")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the smaller file")
    parser.add_argument("--load", type=Path, metavar="FILE", help="load one file and print the peak in MiB")
    options = parser.parse_args(arguments)
    if options.load:
        load(options.load)
        print(read_peak_mib())
        return 0
    with tempfile.TemporaryDirectory(prefix="load-memory-") as made:
        small, large = (measure(Path(made) / f"{rows}.parquet", rows) for rows in (options.rows, SCALE * options.rows))
    bar = FACTOR * small + BYTES_PER_ROW * (SCALE - 1) * options.rows / (1 << 20)
    print(
        f"{options.rows:,} rows: {small:.0f} MiB; {SCALE * options.rows:,} rows: {large:.0f} MiB, at most {bar:.0f} MiB"
    )
    return int(large > bar)


def measure(file: Path, rows: int) -> float:
    """Return the peak of a process that loads a file, which is made here."""
    write_rows(file, rows)
    command = [sys.executable, "-m", "benchmarks.load_memory", "--load", str(file)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    file.unlink()
    return float(answer)


def write_rows(file: Path, count: int) -> None:
    """Write generated rows as Parquet."""
    generator = np.random.default_rng(SEED)
    writer: parquet.ParquetWriter | None = None
    for start in range(0, count, GROUP):
        numbers = range(start, min(start + GROUP, count))
        table = make_table(
            Corpus(
                [f"package-{number}" for number in numbers],
                generator.standard_normal((len(numbers), DIM), np.float32),
                [f"Row {number} with a text about as long as a package's" for number in numbers],
                [{"section": f"section-{number % 40}", "size": number} for number in numbers],
            )
        )
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def load(file: Path) -> None:
    """Load a file as a stream, group by group."""
    kept = {"section": fields.Keyword(), "size": fields.Int()}
    with tempfile.TemporaryDirectory(prefix="load-memory-") as made, vecstore.connect(f"file:{made}/kb") as database:
        store = database.create("bench", Schema(dim=DIM, index=Flat(), fields=kept))
        # Without pre-buffering, which would keep all that was read until the end.
        with parquet.ParquetFile(file, pre_buffer=False) as opened:
            batches = opened.iter_batches(batch_size=GROUP)
            store.upsert(pa.RecordBatchReader.from_batches(opened.schema_arrow, batches))


if __name__ == "__main__":
    sys.exit(main())
