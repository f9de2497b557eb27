"""The line that describes an exported store comes from outside: damage is refused, and nothing is created."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.cli.conftest import ARTICLES, Answer, Run, write_lines


def exported_header(run: Run, articles: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(run("export", articles, "articles").out.splitlines()[0])["vecstore"]
    return content


DAMAGE: dict[str, Any] = {
    "no object": [], "text": "x", "null": None, "empty": {}, "no number": {"format": "1"}, "zero": {"format": 0},
    "a boolean": {"format": True}, "a key more": {"more": 1}, "no schema": {"schema": None},
    "a list": {"schema": []}, "a metric": {"schema.metric": "hamming"}, "a metric of no type": {"schema.metric": [1]},
    "no dim": {"schema.dim": None}, "a wide dim": {"schema.dim": 10**9}, "a boolean dim": {"schema.dim": True},
    "a field": {"schema.fields": {"x'; DROP TABLE": "int"}}, "a reserved field": {"schema.fields": {"id": "int"}},
    "a kind": {"schema.fields": {"x": "pickle"}}, "a kind of no type": {"schema.fields": {"x": {"a": 1}}},
    "fields": {"schema.fields": [1]}, "an index": {"schema.index": {"kind": "ivf"}},
    "an index option": {"schema.index": {"kind": "hnsw", "m": -1}}, "an index of no type": {"schema.index": 3},
    "an index of module": {"schema.index": {"kind": "os.system"}}, "a schema key more": {"schema.more": 1},
    "a model": {"embedder": {"kind": "x"}}, "a model of no type": {"embedder": 3}, "vectors": {"vectors": "yes"},
    "a long text": {"schema.metric": "x" * 100_000}, "no digest": {"format": 2},
    "a short digest": {"format": 2, "records": 1, "digest": "0"},
    "a digest of no type": {"format": 2, "records": 1, "digest": 0},
    "no number of records": {"format": 2, "records": "1", "digest": "0" * 64},
}  # fmt: skip


def damage(header: dict[str, Any], change: Any) -> Any:
    if not isinstance(change, dict) or not change:
        return change
    changed = json.loads(json.dumps(header))
    for key, value in change.items():
        *path, last = key.split(".")
        part = changed
        for each in path:
            part = part[each]
        part[last] = value
    return changed


def add_with_header(run: Run, articles: str, tmp_path: Path, kind: str, header: Any) -> Answer:
    path = tmp_path / f"x.{kind}"
    if kind == "jsonl":
        write_lines(path, [{"vecstore": header}, *ARTICLES])
    else:
        table = pa.table({"id": ["a"], "vector": [[1.0, 2.0, 3.0]]})
        parquet.write_table(table.replace_schema_metadata({"vecstore": json.dumps(header)}), path)
    return run("add", articles, "copy", path)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_header_is_refused(run: Run, articles: str, tmp_path: Path, kind: str, change: Any) -> None:
    answer = add_with_header(run, articles, tmp_path, kind, damage(exported_header(run, articles), change))
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert f"x.{kind}: the line that describes the exported store is damaged: " in answer.err
    assert len(answer.err) < 1_000
    assert "copy" not in run("ls", articles).out


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_newer_format_says_what_to_do(run: Run, articles: str, tmp_path: Path, kind: str) -> None:
    header = {**exported_header(run, articles), "format": 3, "more": {}}
    answer = add_with_header(run, articles, tmp_path, kind, header)
    assert (answer.code, "format 3" in answer.err, "--no-header" in answer.err) == (2, True, True)


def test_a_file_of_another_program_needs_no_header(run: Run, articles: str, tmp_path: Path) -> None:
    line = b'{"vecstore": 1, "id": "x", "vector": [1, 2, 3]}\n'
    assert run("add", articles, "copy", "-", stdin=line).code == 0
    assert json.loads(run("export", articles, "copy", "--no-header").out)["metadata"] == {"vecstore": 1}
    path = tmp_path / "x.parquet"
    run("export", articles, "copy", path, "--no-header")
    assert b"vecstore" not in (parquet.read_schema(path).metadata or {})


def test_the_header_is_one_line_that_other_programs_can_leave_out(run: Run, articles: str) -> None:
    lines = run("export", articles, "articles").out.splitlines()
    records = [record for record in map(json.loads, lines) if "id" in record]
    assert [record["id"] for record in records] == ["a", "b", "c"]
    assert lines[0].startswith('{"vecstore": {"format": 1, ')
