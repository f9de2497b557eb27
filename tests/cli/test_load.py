"""`vecstore load`: many files into a store that appears when all are in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import vecstore
from tests.cli.conftest import Run, command_line, write_lines
from vecstore import bulk
from vecstore.cli.exits import Failure
from vecstore.cli.load_task import FileReading, FileTask, load_file
from vecstore.cli.sources import ColumnNames
from vecstore.cli.vector_columns import VectorFit

pytestmark = pytest.mark.usefixtures("no_model")


def make_rows(first: int, count: int = 40) -> list[dict[str, Any]]:
    return [
        {"id": f"r{n}", "vector": [1.0 + n, n / 7, -1.0], "text": f"text {n}", "year": n}
        for n in range(first, first + count)
    ]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A file of each format."""
    write_lines(tmp_path / "a.jsonl", make_rows(0))
    (tmp_path / "b.json").write_text(json.dumps(make_rows(40)))
    rows = ["id,vector,text,year", *(f'{r["id"]},"{r["vector"]}",{r["text"]},{r["year"]}' for r in make_rows(80))]
    (tmp_path / "c.csv").write_text("\n".join(rows))
    parquet.write_table(pa.Table.from_pylist(make_rows(120)), tmp_path / "d.parquet")
    return sorted(tmp_path.glob("*.*"))


def read_digest(url: str, name: str = "docs") -> str:
    with vecstore.connect(url) as db:
        return db.open(name).digest()


def list_names(url: str) -> list[str]:
    with vecstore.connect(url) as db:
        return db.names()


@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_what_add_makes(run: Run, tmp_path: Path, files: list[Path], workers: int) -> None:
    url, plain = f"file:{tmp_path}/kb", f"file:{tmp_path}/plain"
    answer = run("load", url, "docs", *files, "--field", "year:int", "--workers", workers, "--json").json
    assert (answer["files"], answer["records"]) == (4, 160)
    assert run("add", plain, "docs", *files, "--field", "year:int").code == 0
    assert read_digest(url) == read_digest(plain)
    with vecstore.connect(url) as db:
        assert db.open("docs").count(vecstore.F["year"] >= 150) == 10


def test_one_record_that_is_wrong_leaves_nothing(run: Run, tmp_path: Path, files: list[Path]) -> None:
    wrong = tmp_path / "e.jsonl"
    write_lines(wrong, [*make_rows(200), {"id": "x", "vector": [1.0]}])
    for workers in (1, 2):
        answer = run("load", f"file:{tmp_path}/kb", "docs", *files, wrong, "--workers", workers)
        assert answer.code == 2
        assert "e.jsonl" in answer.err
        assert "'x'" in answer.err
        assert list_names(f"file:{tmp_path}/kb") == []


def test_a_load_that_was_killed_goes_on_with_its_journal(run: Run, tmp_path: Path, files: list[Path]) -> None:
    url, journal = f"file:{tmp_path}/kb", tmp_path / "load.journal"
    pipe = tmp_path / "z.jsonl"
    os.mkfifo(pipe)  # the last file never ends, so that the load is killed while it reads it
    names = [*files, pipe]
    child = subprocess.Popen(
        command_line(["load", url, "docs", *names, "--workers", "1", "--journal", journal]), stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while not journal.exists() or journal.read_text().count('"file"') < 4:
        assert time.monotonic() < until
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    pipe.unlink()
    write_lines(pipe, make_rows(200))
    with journal.open("a") as file:
        file.write('{"file": "cut o')  # as a kill may leave it
    assert list_names(url) == []
    assert "or `vecstore drop --moved`." in run("count", url, "docs").err
    before = [path.stat().st_mtime_ns for path in files]
    files[0].write_text("changed")
    refused = run("load", url, "docs", *names, "--workers", 1, "--journal", journal)
    assert refused.code == 2
    assert "a.jsonl was changed after it was loaded" in refused.err
    write_lines(files[0], make_rows(0))
    os.utime(files[0], ns=(before[0], before[0]))
    answer = run("load", url, "docs", *names, "--workers", 1, "--journal", journal, "--json").json
    assert answer["records"] == 200
    assert not journal.exists()
    assert run("add", f"file:{tmp_path}/plain", "docs", *names).code == 0
    assert read_digest(url) == read_digest(f"file:{tmp_path}/plain")


def test_an_interrupt(run: Run, tmp_path: Path, files: list[Path]) -> None:
    """As Ctrl-C in a terminal, which reaches the workers too."""
    url, journal, pipe = f"file:{tmp_path}/kb", tmp_path / "load.journal", tmp_path / "z.jsonl"
    os.mkfifo(pipe)
    line = command_line(["load", url, "docs", files[0], pipe, "--workers", "2", "--journal", journal])
    with (
        subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True) as child,
        pipe.open("w"),  # a worker reads it, and will find no end
    ):
        os.killpg(child.pid, signal.SIGINT)
        told = child.communicate(timeout=60)[1]  # until no worker has it open
    assert told == "vecstore: Interrupted. The same command goes on with the files that are left.\n"
    assert child.returncode == 130
    assert list_names(url) == []
    pipe.unlink()
    write_lines(pipe, make_rows(200))
    answer = run("load", url, "docs", files[0], pipe, "--workers", 1, "--journal", journal, "--json").json
    assert answer["records"] == 80
    assert not journal.exists()


def test_a_worker_may_have_another_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of Ray do. What is wrong is told of the path that was given."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    write_lines(tmp_path / "a.jsonl", make_rows(0))
    write_lines(tmp_path / "b.jsonl", [{"id": "x", "vector": "no numbers"}])
    monkeypatch.chdir(tmp_path)
    with bulk.begin("file:kb", "docs", vecstore.Schema(dim=3)) as load:
        reading = FileReading(ColumnNames(), {}, None, VectorFit())
        tasks = [FileTask.make(load.ticket, path, reading) for path in ("./a.jsonl", "b.jsonl")]
        monkeypatch.chdir(elsewhere)
        assert load_file(tasks[0]) == 40
        with pytest.raises(Failure, match=r"^b\.jsonl, line 1: "):
            load_file(tasks[1])
    assert list(elsewhere.iterdir()) == []


def test_texts_are_embedded(run: Run, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": f"r{n}", "text": f"text {n}"} for n in range(5)])
    url = f"file:{tmp_path}/kb"
    assert run("load", url, "docs", tmp_path / "a.jsonl", "--embedder", "wordllama:64", "--workers", 1).code == 0
    with vecstore.connect(url) as db:
        store = db.open("docs", embedder=vecstore.embedders.load("wordllama:64"))
        assert store.search("text 3", k=1)[0].id == "r3"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["missing.jsonl"], "there is no such file"),
        (["a.jsonl", "a.jsonl"], "was given twice"),
        (["."], "is no file"),
        (["readme.md"], "no file of records"),
        (["empty.jsonl"], "has no records"),
        (["pipe.jsonl", "a.jsonl"], "is a pipe"),
        (["a.jsonl", "--dim", "7"], "dim"),
        (["a.jsonl", "--workers", "0"], "workers"),
    ],
)
def test_what_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "a.jsonl", make_rows(0))
    (tmp_path / "empty.jsonl").touch()
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "readme.md").write_text("# Title\n")
    answer = run("load", "file:./kb", "docs", *arguments)
    assert answer.code == 2
    assert said in answer.err.lower() or said in answer.err
    assert list_names("file:./kb") == []


def test_a_store_that_is_there_is_refused(run: Run, tmp_path: Path, files: list[Path]) -> None:
    url = f"file:{tmp_path}/kb"
    assert run("load", url, "docs", files[0], "--workers", 1).code == 0
    answer = run("load", url, "docs", files[1], "--workers", 1)
    assert answer.code != 0
    assert "vecstore add" in answer.err
    assert run("load", "memory:", "docs", files[1]).code == 2


@pytest.mark.parametrize("command", ["load", "add"])
@pytest.mark.parametrize(
    "file, part",
    [("a.jsonl", "vector"), ("b.json", "vector"), ("c.csv", "vector"), ("c.csv", "text"), ("d.parquet", "text")],
)
def test_a_column_that_is_not_there(
    run: Run, tmp_path: Path, files: list[Path], command: str, file: str, part: str
) -> None:
    """Texts would be embedded, or left out, without a word."""
    option = f"--{part}-column"
    answer = run(command, f"file:{tmp_path}/kb", "docs", tmp_path / file, option, "emb")
    assert answer.code == 2
    assert f"no 'emb' among 'id', 'vector', 'text', 'year'; name another column with {option}" in answer.err
    assert list_names(f"file:{tmp_path}/kb") == []


def test_vectors_that_nobody_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECSTORE_EMBEDDER", "wordllama:64")
    url = f"file:{tmp_path}/kb"
    given = write_lines(tmp_path / "a.jsonl", [{"id": "a", "emb": [1.0, 2.0], "text": "a text"}])
    longer = write_lines(tmp_path / "b.jsonl", [{"id": "b", "emb": [1.0, 2.0, 3.0], "text": "a text"}])
    bare = write_lines(tmp_path / "c.jsonl", [{"id": "c", "text": "a text"}])
    for first, second, said in (
        (given, longer, "they have 3 numbers, and the store has 2 dimensions"),
        (given, bare, "--embedder"),
        (bare, longer, f"the texts of {bare} are embedded"),
    ):
        answer = run("load", url, "docs", first, second, "--workers", 1)
        assert answer.code == 2
        assert said in answer.err
    answer = run("load", url, "docs", given, "--workers", 1)
    assert answer.code == 0
    assert "Note: " in answer.err
    assert "'emb'" in answer.err


@pytest.mark.parametrize("journal", [False, True], ids=["alone", "with a journal"])
def test_an_id_in_two_files(run: Run, tmp_path: Path, *, journal: bool) -> None:
    write_lines(first := tmp_path / "a.jsonl", make_rows(0))
    write_lines(second := tmp_path / "b.jsonl", make_rows(20))
    url, notes = f"file:{tmp_path}/kb", tmp_path / "load.journal"
    options = ["--workers", 1, *(["--journal", notes] if journal else [])]
    answer = run("load", url, "docs", first, second, *options)
    assert answer.code == 2
    assert "20 ids" in answer.err
    assert "`vecstore add`" in answer.err
    with vecstore.connect(url) as db, pytest.raises(vecstore.StoreNotFound):
        db._backend.find(name="docs")
    write_lines(second, make_rows(39))
    assert "1 id of the load of store 'docs' occurs in more" in run("load", url, "docs", first, second, *options).err
    write_lines(second, make_rows(40))
    assert run("load", url, "docs", first, second, *options).code == 0


@pytest.mark.parametrize("name", ["export.jsonl", "export.parquet"])
def test_an_export(run: Run, tmp_path: Path, files: list[Path], name: str) -> None:
    """What it says of fields and of the model would be dropped without a word."""
    url = f"file:{tmp_path}/kb"
    assert run("load", url, "docs", files[0], "--field", "year:int", "--workers", 1).code == 0
    assert run("export", url, "docs", tmp_path / name).code == 0
    for given in ([tmp_path / name], [files[0], tmp_path / name]):
        answer = run("load", url, "other", *given, "--workers", 1)
        assert answer.code == 2
        assert "an export of a store begins here" in answer.err
        assert "`vecstore add`" in answer.err
        assert list_names(url) == ["docs"]
    assert run("export", url, "docs", tmp_path / name, "--no-header", "--overwrite").code == 0
    assert run("load", url, "other", tmp_path / name, "--field", "year:int", "--workers", 1).code == 0
    assert read_digest(url, "other") == read_digest(url)


def test_ray_is_missed_before_anything_is_read(
    run: Run, tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = run("load", f"file:{tmp_path}/kb", "docs", *files, "--engine", "ray")
    assert answer.code == 2
    assert "vecstore-db[ray]" in answer.err
    assert not (tmp_path / "kb").exists()
