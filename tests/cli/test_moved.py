"""What the commands say of a store that has moved to another place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import vecstore
from tests.cli.conftest import Run
from vecstore.testing.hand_move import HandMove

pytestmark = pytest.mark.usefixtures("no_model")


@pytest.fixture
def there(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'there'}"


@pytest.fixture
def uid(articles: str, there: str) -> str:
    """Move the articles, and return their uid in the new place."""
    with vecstore.connect(articles) as one, vecstore.connect(there) as other:
        HandMove(one._backend, other._backend, "articles", "papers").run()
        return other._backend.find(name="papers").uid


def test_ls_says_where_it_is(run: Run, articles: str, there: str, uid: str) -> None:
    with vecstore.connect(articles) as database:
        database.create("more", vecstore.Schema(dim=2))
    (moved, kept) = run("ls", articles, "--json").json["stores"]
    target = "store 'papers' in a Database on file"
    assert moved == {"store": "articles", "moved_to": target, "moved_uid": uid}
    assert (kept["store"], kept["records"]) == ("more", 0)
    shown = run("ls", articles)
    assert shown.code == 0
    assert f"articles has moved to {target}." in shown.out
    assert [store["store"] for store in run("ls", there, "--json").json["stores"]] == ["papers"]


def test_info_says_where_it_is(run: Run, articles: str, uid: str) -> None:
    answer = run("info", articles, "articles", "--json").json
    assert (answer["store"], answer["moved_uid"]) == ("articles", uid)
    shown = run("info", articles, "articles")
    assert (shown.code, "store 'papers'" in shown.out, uid in shown.out) == (0, True, True)


@pytest.mark.parametrize(
    "command",
    [
        ["count", "articles"], ["search", "articles", "--vector", "[1, 0, 0]"], ["verify", "articles"],
        ["drop", "articles", "--yes"], ["compact", "articles"], ["export", "articles", "-"],
    ],
    ids=lambda command: command[0],
)  # fmt: skip
def test_other_commands_refuse_and_say_where_it_is(run: Run, articles: str, uid: str, command: list[str]) -> None:
    name, *words = command
    answer = run(name, articles, *words, "--json") if name != "export" else run(name, articles, *words)
    assert answer.code == 2, answer
    assert "has moved to store 'papers' in a Database on file" in answer.err


def test_verify_of_a_place_passes_it_over(run: Run, articles: str, uid: str) -> None:
    with vecstore.connect(articles) as database:
        database.create("more", vecstore.Schema(dim=2))
    answer = run("verify", articles)
    assert (answer.code, answer.out) == (0, "more: 0 records checked, sound\n")
    assert "articles has moved to store 'papers'" in answer.err


def test_drop_moved_removes_what_is_left(run: Run, articles: str, there: str, uid: str) -> None:
    refused = run("drop", articles, "articles", "--moved", "--previous", "--yes")
    assert refused.code == 2
    early = run("drop", articles, "articles", "--moved", "--yes")
    assert (early.code, "Nothing here says that store 'articles' has arrived" in early.err) == (3, True)
    with vecstore.connect(articles) as database:  # as a mover ends
        left = database._backend.find(name="articles").active
        assert left.remote is not None
        database._backend.amend(replace(left, remote=replace(left.remote, arrived=True)))
    assert run("drop", articles, "articles", "--moved", "--yes", "--json").json == {
        "store": "articles", "dropped_moved": True,
    }  # fmt: skip
    assert run("ls", articles, "--json").json == {"stores": []}
    assert run("verify", there).out == "papers: 3 records checked, sound\n"


def test_drop_moved_spares_a_store(run: Run, articles: str) -> None:
    answer = run("drop", articles, "articles", "--moved", "--yes")
    assert (answer.code, "has not moved" in answer.err) == (2, True)
    assert run("ls", articles, "--json").json["stores"][0]["records"] == 3
