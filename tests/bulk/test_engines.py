"""The lines that the page gives for other engines, each run with the engine itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

import vecstore
from tests.cli.conftest import command_line, write_lines
from tests.sources import ROOT
from vecstore import InvalidArgument, Schema
from vecstore.testing import Place

from .test_loads import SCHEMA, load_plainly, make_tables, read_digest

RAY = """
import sys
import pyarrow as pa
import ray
from tests.bulk.test_loads import SCHEMA, make_tables
import vecstore
import vecstore.ray

url = sys.argv[1]
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
dataset = ray.data.from_arrow(list(make_tables()))
assert vecstore.ray.write(dataset, url, "docs", SCHEMA, concurrency=2) == 300
with vecstore.connect(url) as db:
    db.create("live", SCHEMA)
assert vecstore.ray.write(dataset, url, "live") == 300
try:
    vecstore.ray.write(dataset, url, "docs", SCHEMA)
except vecstore.StoreExists:
    print("refused")
"""

RAY_TWICE = """
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
import ray
from tests.bulk.test_loads import SCHEMA, make_tables
import vecstore
import vecstore.ray
from vecstore.bulk import datasink

url, marks = sys.argv[1:]

class Dying(datasink.StoreDatasink):
    def write(self, blocks, ctx):
        written = super().write(blocks, ctx)
        mark = os.path.join(marks, f"{self.get_name()} {ctx.task_idx}")
        if not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return written

datasink.StoreDatasink = Dying
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")

def write(schema):
    try:
        return vecstore.ray.write(ray.data.from_arrow(list(make_tables())), url, "docs", schema, concurrency=1)
    except (vecstore.StoreExists, vecstore.StoreLocked) as error:
        return type(error).__name__

with ThreadPoolExecutor(2) as pool:
    found = list(pool.map(write, [SCHEMA, SCHEMA]))
    assert 300 in found and len(set(found)) == 2, found
    with vecstore.connect(url) as db:
        assert db.open("docs").count() == 300
        db.open("docs").delete(ids=["r000000"])
    assert list(pool.map(write, [None, None])) == [300, 300]
assert len(os.listdir(marks)) > 1
print("twice")
"""

DASK = """
import sys
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
from dask.distributed import Client, LocalCluster
from tests.bulk.test_loads import SCHEMA, make_tables
import vecstore
from vecstore import bulk

def write(part, url):
    table = pa.Table.from_pandas(part, preserve_index=False)
    return pd.Series([bulk.write_batch(url, "docs", table)])

if __name__ == "__main__":
    url = sys.argv[1]
    with vecstore.connect(url) as db:
        db.create("docs", SCHEMA)
    import dask
    dask.config.set({"dataframe.convert-string": False})
    frame = dd.concat([dd.from_pandas(table.to_pandas(), npartitions=1) for table in make_tables()])
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        print(int(frame.map_partitions(write, url, meta=pd.Series([], dtype=int)).compute().sum()))
    bulk.finish(url, "docs")
"""

SPARK = """
import os
import sys
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import SparkSession
from vecstore import bulk

url, folder = sys.argv[1:]
os.environ["PYSPARK_PYTHON"] = sys.executable

def write(batches):
    for batch in batches:
        count = bulk.write_batch(url, "docs", pa.Table.from_batches([batch]))
        if not TaskContext.get().attemptNumber():
            raise OSError("what a first attempt has written is there, and Spark repeats the task")
        yield pa.RecordBatch.from_pydict({"rows": [count]})

builder = SparkSession.builder.master("local[2, 2]").config("spark.ui.enabled", "false")
builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.sql.files.openCostInBytes", str(1 << 28))
frame = builder.getOrCreate().read.parquet(folder)
assert frame.rdd.getNumPartitions() > 1
written = frame.mapInArrow(write, "rows long").agg({"rows": "sum"}).collect()[0][0]
bulk.finish(url, "docs")
print(written)
"""

ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}


def check_program(
    file: Path, program: str, place: Place, last: str, *arguments: str, python: str = sys.executable
) -> None:
    """Run a program, a file since its workers import it, and look for what it prints at last; Ray may print more."""
    file.write_text(program)
    line = [python, str(file), place.url, *arguments]
    done = subprocess.run(line, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, last in done.stdout.splitlines()) == (0, True), done.stderr[-4_000:]


@pytest.mark.long
def test_ray(file_place: Place, tmp_path: Path) -> None:
    check_program(tmp_path / "program.py", RAY, file_place, "refused")
    plain = load_plainly(file_place, make_tables())
    assert read_digest(file_place) == read_digest(file_place, "live") == plain


@pytest.mark.long
def test_ray_twice_at_once_with_tasks_that_are_repeated(file_place: Place, tmp_path: Path) -> None:
    (marks := tmp_path / "marks").mkdir()
    check_program(tmp_path / "program.py", RAY_TWICE, file_place, "twice", str(marks))
    assert read_digest(file_place) == load_plainly(file_place, make_tables())


@pytest.mark.long
def test_dask(file_place: Place, tmp_path: Path) -> None:
    check_program(tmp_path / "program.py", DASK, file_place, "300")
    assert read_digest(file_place) == load_plainly(file_place, make_tables())


@pytest.mark.long
def test_spark(file_place: Place, tmp_path: Path) -> None:
    """In an environment of its own: its jars are larger than all else that the tests need."""
    python = Path(os.environ.get("VECSTORE_TEST_PEERS", ROOT)) / ".venv-peers-spark" / "bin" / "python"
    assert python.exists(), "Run make test-long, which makes .venv-peers-spark."
    (files := tmp_path / "files").mkdir()
    for number, table in enumerate(make_tables()):
        parquet.write_table(table, files / f"{number}.parquet")
    with vecstore.connect(file_place.url) as db:
        db.create("docs", SCHEMA)
    check_program(tmp_path / "program.py", SPARK, file_place, "300", str(files), python=str(python))
    assert read_digest(file_place) == load_plainly(file_place, make_tables())


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    import vecstore.ray

    with pytest.raises(InvalidArgument, match=r"ray\.data\.Dataset"):
        vecstore.ray.write([], f"file:{tmp_path}/kb", "docs", Schema(dim=2))  # type: ignore[arg-type]
    assert not (tmp_path / "kb").exists()


def run_command(folder: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `vecstore load` on Ray, with paths that are relative."""
    line = command_line(["load", "file:kb", "docs", *arguments, "--engine", "ray", "--workers", "2"])
    return subprocess.run(
        line, cwd=folder, env=ENVIRONMENT | variables, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.long
def test_the_command_on_ray(tmp_path: Path) -> None:
    for number, table in enumerate(make_tables()):
        parquet.write_table(table, tmp_path / f"{number}.parquet")
    files = [f"{number}.parquet" for number in range(6)]
    done = run_command(tmp_path, *files, "--field", "year:int", "--metric", "l2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Loaded 300 records of 6 files into the new store docs.\n"
    with vecstore.connect(f"file:{tmp_path}/kb") as db:
        db.create("plain", SCHEMA)
        for table in make_tables():
            db.open("plain").upsert(table)
        assert db.open("docs").digest() == db.open("plain").digest()


@pytest.mark.long
def test_the_command_on_ray_says_what_is_wrong(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": "a", "vector": [1.0, 0.0]}])
    write_lines(tmp_path / "b.jsonl", [{"id": "b", "vector": [1.0]}])
    done = run_command(tmp_path, "a.jsonl", "b.jsonl")
    assert done.returncode == 2
    (told,) = done.stderr.splitlines()
    assert told.startswith("vecstore: b.jsonl: ")
    assert "'b'" in told
    with vecstore.connect(f"file:{tmp_path}/kb") as db:
        assert db.names() == []


HEAD = """
import sys
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@pytest.mark.long
def test_the_command_on_a_cluster_that_was_started_elsewhere(tmp_path: Path) -> None:
    """Its workers have the working directory of who started it."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    write_lines(tmp_path / "a.jsonl", [{"id": "a", "vector": [1.0, 0.0]}])
    line = [sys.executable, "-c", HEAD]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, cwd=elsewhere, env=ENVIRONMENT, stdin=pipe, stdout=pipe, text=True) as head:
        assert head.stdout is not None
        done = run_command(tmp_path, "a.jsonl", RAY_ADDRESS=head.stdout.readline().strip())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Loaded 1 record of 1 file into the new store docs.\n"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.long
def test_ray_that_ends_each_worker_for_want_of_memory(tmp_path: Path) -> None:
    """Ray would repeat such a task for ever."""
    write_lines(tmp_path / "a.jsonl", [{"id": "a", "vector": [1.0, 0.0]}])
    limits = {"RAY_memory_usage_threshold": "0.0", "RAY_memory_monitor_refresh_ms": "20"}
    done = run_command(tmp_path, "a.jsonl", **limits)
    assert done.returncode == 2
    assert done.stderr.startswith("vecstore: Ray ended the workers of the task of a.jsonl again and again, because ")
    with vecstore.connect(f"file:{tmp_path}/kb") as db:
        assert db.names() == []
        db.create("docs", Schema(dim=2))


@pytest.mark.long
def test_ray_that_is_not_there(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": "a", "vector": [1.0, 0.0]}])
    done = run_command(tmp_path, "a.jsonl", RAY_ADDRESS="nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("vecstore: Ray cannot be started or reached (ValueError). ")
    assert "RAY_ADDRESS" in done.stderr
