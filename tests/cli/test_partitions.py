"""``--partitions``: stores of PostgreSQL in several tables, from the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run, write_lines
from tests.cli.places import postgres_server, postgres_url
from tests.postgres.places import PostgresPlace

pytestmark = pytest.mark.usefixtures("no_model")
__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    write_lines(path, [{"id": str(number), "vector": [number, 1]} for number in range(20)])
    return path


@pytest.fixture
def divided(postgres_url: str) -> Iterator[str]:
    place = PostgresPlace(postgres_url)
    yield place.url
    place.close()


def test_made_shown_changed_and_left_out_of_a_copy(run: Run, divided: str, rows: Path, url: str) -> None:
    assert run("add", divided, "docs", rows, "--partitions", "4").code == 0
    assert run("info", divided, "docs", "--json").json["schema"]["partitions"] == 4
    assert ["partitions", "4"] in [line.split() for line in run("info", divided, "docs").out.splitlines()]
    assert run("load", divided, "loaded", rows, "--partitions", "4", "--workers", "1").code == 0
    assert run("info", divided, "loaded", "--json").json["schema"]["partitions"] == 4
    refused = run("add", divided, "docs", rows, "--partitions", "8")
    assert (refused.code, "number of partitions is 4, not 8" in refused.err) == (2, True)
    assert "`vecstore rebuild` and --partitions 8" in refused.err
    assert run("rebuild", divided, "docs", "--partitions", "2").code == 0
    assert run("info", divided, "docs", "--json").json["schema"]["partitions"] == 2
    dry = run("copy", divided, "docs", url, "--dry-run")
    assert (dry.code, "not divided into 2 partitions, which file does not have" in dry.out) == (0, True)
    assert run("copy", divided, "docs", url).code == 0
    assert run("digest", url, "docs").out == run("digest", divided, "docs").out
    assert run("copy", divided, "docs", divided, "again", "--dry-run", "--json").json["left_out"] == []
    assert run("rebuild", divided, "docs", "--partitions", "1").code == 0
    assert "partitions" not in run("info", divided, "docs").out


def test_refusals_write_nothing(run: Run, divided: str, rows: Path, url: str) -> None:
    odd = run("add", divided, "docs", rows, "--partitions", "3")
    assert (odd.code, "power of two" in odd.err) == (2, True)
    missing = run("add", url, "docs", rows, "--partitions", "4")
    assert (missing.code, "a store of 4 partitions" in missing.err) == (2, True)
    assert run("ls", divided, "--json").json["stores"] == run("ls", url, "--json").json["stores"] == []


def test_an_export_has_none(run: Run, divided: str, rows: Path, url: str, tmp_path: Path) -> None:
    assert run("add", divided, "docs", rows, "--partitions", "4").code == 0
    for name in ("docs.jsonl", "docs.parquet"):
        assert run("export", divided, "docs", tmp_path / name).code == 0
        assert run("add", url, name.partition(".")[2], tmp_path / name).code == 0
        assert run("add", divided, name.partition(".")[2], tmp_path / name, "--partitions", "2").code == 0
    assert run("info", divided, "jsonl", "--json").json["schema"]["partitions"] == 2


def test_a_load_goes_on_with_the_number_with_which_it_was_begun(
    run: Run, divided: str, rows: Path, tmp_path: Path
) -> None:
    write_lines(wrong := tmp_path / "wrong.jsonl", [{"id": "x", "vector": [1]}])
    files = [rows, wrong, "--workers", 1, "--journal", tmp_path / "journal"]
    assert run("load", divided, "docs", *files, "--partitions", "4").code == 2
    for given in (["--partitions", "8"], []):
        refused = run("load", divided, "docs", *files, *given)
        assert (refused.code, "number of partitions is 4, not" in refused.err) == (2, True)
        assert "same options" in refused.err
    write_lines(wrong, [{"id": "x", "vector": [1, 1]}])
    assert run("load", divided, "docs", *files, "--partitions", "4").code == 0
    assert run("info", divided, "docs", "--json").json["schema"]["partitions"] == 4
