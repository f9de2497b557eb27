"""`vecstore declare` and `undeclare`, and how ``--field`` declares dates that are text."""

from __future__ import annotations

from pathlib import Path

import pytest

import vecstore
from tests.cli.conftest import Run, write_lines
from vecstore import F, Record, Schema, fields

pytestmark = pytest.mark.usefixtures("no_model")


@pytest.fixture
def notes(url: str) -> str:
    with vecstore.connect(url) as db:
        store = db.create("notes", Schema(dim=2))
        store.insert([
            Record("a", [1, 0], metadata={"source": "web", "when": "2024-01-31T09:30:00+01:00", "Page Number": 3}),
            Record("b", [0, 1], metadata={"source": "mail", "n": 1}),
        ])  # fmt: skip
    return url


def test_keys_become_fields_and_back(run: Run, notes: str) -> None:
    refused = run("count", notes, "notes", "--where", '{"source": "web"}')
    assert (refused.code, "vecstore declare" in refused.err) == (2, True)
    done = run("declare", notes, "notes", "--field", "source:keyword", "--field", "when:datetime:text")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "notes: source is a field now, keyword; 2 of 2 records have it.\n"
        "notes: when is a field now, datetime with text=True; 1 of 2 records have it.\n"
    )
    assert run("count", notes, "notes", "--where", '{"source": "web"}').out == "1\n"
    assert run("count", notes, "notes", "--where", '{"when": {"$lt": "2024-01-31T08:30:01Z"}}').out == "1\n"
    assert "datetime with text=True" in run("info", notes, "notes").out
    assert "nothing to do" in run("declare", notes, "notes", "--field", "source:keyword").out
    answer = run("undeclare", notes, "notes", "source", "when", "--json").json
    assert (answer["values"], answer["records"], answer["fields"]) == ({"source": 2, "when": 1}, 2, {})
    again = run("undeclare", notes, "notes", "source")
    assert ("nothing to do" in again.out, again.err) == (
        True, "notes has no field 'source', so nothing was done for it.\n",
    )  # fmt: skip
    answer = run("declare", notes, "notes", "--field", "n:int", "--json").json
    assert (answer["values"], answer["fields"]) == ({"n": 1}, {"n": "int"})


def test_refusals_change_nothing(run: Run, notes: str) -> None:
    before = run("export", notes, "notes").out
    for options, told in (
        ((), "Give --field NAME:KIND"),
        (("--field", "source:int"), "'a', 'b'"),
        (("--field", "Page Number:int"), "dynamic=True"),
        (("--field", "source:keyword:text"), "It has none"),
        (("--field", "when:datetime:txt"), "It has: text, naive="),
        (("--field", "when:datetime:text:text"), "given twice"),
        (("--field", "when:datetime:naive=berlin"), "'utc'"),
        (("--field", "when:datetime:naive"), "naive="),
        (("--field", "when:datetime:text=yes"), "It has: text"),
        (("--field", "when:datetime:"), "It has: text"),
        (("--field", "text:keyword"), "part of every record"),
        (("--field", "source"), "name:kind"),
    ):
        answer = run("declare", notes, "notes", *options)
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), options
        assert told in answer.err
    for arguments in (
        ("undeclare", notes, "notes"),
        ("undeclare", notes, "notes", "A b"),
        ("undeclare", notes, "x", "a"),
    ):
        assert run(*arguments).code == 2
    for command in (("declare", "--field", "n:int"), ("undeclare", "n")):
        answer = run(command[0], f"{notes}?mode=ro", "notes", *command[1:])
        assert (answer.code, "read-only" in answer.err) == (2, True)
    assert run("declare", "file:./absent", "notes", "--field", "n:int").code == 2
    assert run("export", notes, "notes").out == before


@pytest.mark.parametrize("date", ["2024-01-31T09:30:00", "2024-01-31T09:30:00Z"])
def test_add_declares_dates_that_are_text(run: Run, url: str, tmp_path: Path, date: str) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"id": "a", "vector": [1, 0], "when": date}])
    assert run("add", url, "s", path, "--field", "when:datetime:text:naive=utc").code == 0
    with vecstore.connect(url) as db:
        store = db.open("s")
        assert store.schema.fields == {"when": fields.DateTime(text=True, naive="utc")}
        [record] = store.scan(F.when == "2024-01-31T09:30:00Z")
        assert record.metadata == {"when": "2024-01-31T09:30:00+00:00"}
    assert run("export", url, "s", tmp_path / "out.jsonl").code == 0
    assert run("add", f"file:{tmp_path}/other", "s", tmp_path / "out.jsonl").code == 0
    with vecstore.connect(f"file:{tmp_path}/other") as db:
        assert db.open("s").schema == store.schema
