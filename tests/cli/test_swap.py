"""`vecstore copy` and `vecstore move`."""

from __future__ import annotations

from pathlib import Path

import pytest

import vecstore
from tests.cli.conftest import Run
from vecstore import Record, Schema

pytestmark = pytest.mark.usefixtures("no_model")


@pytest.fixture
def there(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'there'}"


def read_ids(url: str, name: str) -> list[str]:
    with vecstore.connect(url) as database:
        return [record.id for record in database.open(name).scan(include=())]


def test_copy(run: Run, articles: str, there: str) -> None:
    done = run("copy", articles, "articles", there, "papers", "--json")
    assert done.code == 0, done
    assert read_ids(there, "papers") == read_ids(articles, "articles")
    assert done.json["records"] == len(read_ids(there, "papers"))
    assert run("digest", there, "papers").out.strip() == done.json["digest"]
    assert run("digest", articles, "articles").out.strip() == done.json["digest"]
    again = run("copy", articles, "articles", there, "papers")
    assert (again.code, "already a store 'papers'" in again.err) == (2, True)
    shown = run("copy", articles, "articles", there)
    assert shown.code == 0
    assert "records copied" in shown.out
    assert done.json["digest"] in shown.out


def test_a_dry_run_writes_nothing(run: Run, articles: str, there: str) -> None:
    assert run("copy", articles, "articles", there, "--dry-run").out == "articles: nothing is in the way.\n"
    assert run("ls", there, "--json").json["stores"] == []
    run("copy", articles, "articles", there)
    taken = run("copy", articles, "articles", there, "--dry-run", "--json")
    assert taken.code == 1
    assert ["already a store 'articles'" in each for each in taken.json["obstacles"]] == [True]
    run("copy", articles, "articles", there, "third")
    with vecstore.connect(articles) as database:
        database.open("articles").upsert([Record("mute", [1, 2, 3])])
    named = run("copy", articles, "articles", there, "fourth", "--dry-run", "--embedder", "wordllama:64", "--json")
    assert named.code == 1
    assert any("'mute'" in each for each in named.json["obstacles"])
    assert read_ids(there, "third")


def test_move_and_back(run: Run, articles: str, there: str) -> None:
    before = read_ids(articles, "articles")
    moved = run("move", articles, "articles", there, "papers", "--json")
    assert (moved.code, moved.json["deed"], moved.json["records"]) == (0, "moved", len(before))
    assert run("count", articles, "articles").code == 2
    again = run("move", articles, "articles", there, "papers")
    assert (again.code, "an earlier call" in again.out) == (0, True)
    with vecstore.connect(there) as database:
        database.open("papers").upsert([Record("late", [1, 2, 3])])
    back = run("move", articles, "articles", there, "papers", "--back")
    assert back.code == 0, back
    assert "moved back" in back.out
    assert read_ids(articles, "articles") == sorted([*before, "late"])
    assert run("count", there, "papers").code == 2
    refused = run("move", articles, "articles", there, "papers", "--back", "--abort")
    assert (refused.code, "either --back or --abort" in refused.err) == (2, True)


def test_there_may_be_nothing_to_give_up(run: Run, articles: str, there: str) -> None:
    assert run("move", articles, "articles", there, "--abort").out == "articles: there is nothing to give up.\n"
    assert run("move", articles, "articles", there, "--abort", "--json").json == {
        "store": "articles",
        "given_up": False,
    }


def test_a_move_that_broke_off_is_given_up(run: Run, articles: str, there: str) -> None:
    def stop(phase: str, done: int, total: int | None) -> None:
        raise InterruptedError

    with vecstore.connect(articles) as here, vecstore.connect(there) as other:
        with pytest.raises(InterruptedError):
            here.open("articles").move_to(other, on_progress=stop)
        assert other.names() == []
    assert run("move", articles, "articles", there, "--abort").out == "articles: given up.\n"
    with vecstore.connect(there) as other:
        other.create("articles", Schema(dim=3))


def test_a_place_that_forgets_has_to_be_accepted(run: Run, articles: str) -> None:
    refused = run("move", articles, "articles", "memory:")
    assert (refused.code, "--accept-volatile" in refused.err) == (2, True)
    assert run("copy", articles, "nothing", "memory:").code == 2
