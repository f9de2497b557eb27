"""A password in the wrong place of a command line is in no message."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import Run
from vecstore import InvalidArgument
from vecstore.cli.app import run as run_command
from vecstore.cli.masking import find_secrets, mask_secrets
from vecstore.names import check_name

PLACES = (
    "redis://:{}@127.0.0.1:1/0", "rediss://me:{}@127.0.0.1:1/0", "redis//:{}@127.0.0.1:1/0", "redis:{}@127.0.0.1:1/0",
    "redis:/:{}@127.0.0.1:1/0", "postgresql://me:{}@127.0.0.1:1/db", "postgresql//me:{}@127.0.0.1:1/db",
    "me:{}@127.0.0.1/db", "http://me:{}@127.0.0.1/a.html", "host=127.0.0.1 password={}",
    "postgresql://127.0.0.1:1/db?password={}",
)  # fmt: skip
SLOTS = (
    ("add", "{}", "docs", "n"), ("add", "docs", "{}", "n"), ("add", "file:./kb", "{}", "n"),
    ("add", "file:./kb", "docs", "{}"), ("add", "file:./kb", "docs", ".", "--as", "{}"),
    ("add", "file:./kb", "docs", ".", "--embedder", "{}"), ("add", "file:./kb", "docs", ".", "--metric", "{}"),
    ("add", "file:./kb", "docs", ".", "--field", "{}"), ("add", "file:./kb", "docs", ".", "--encoding", "{}"),
    ("add", "file:./kb", "docs", ".", "{}"), ("search", "file:./kb", "{}", "tea"), ("get", "file:./kb", "{}", "a"),
    ("ls", "docs", "{}"), ("{}", "ls"), ("ls", "{}", "--url={}"), ("drop", "file:./kb", "{}", "-y"),
    ("backup", "file:./kb", "{}"), ("export", "file:./kb", "docs", "{}"), ("info", "file:./kb", "{}", "--json"),
    ("rebuild", "file:./kb", "docs", "--drop-field", "{}"), ("migrate", "upgrade", "{}"),
    ("migrate", "current", "--url", "{}"), ("search", "file:./kb", "docs", "x", "--where", "{}"),
)  # fmt: skip
PASSWORDS = st.text(string.ascii_letters + string.digits + "!$'()*+,;=_.~-é%", min_size=6, max_size=20).map(
    "Zq7".__add__
)


@pytest.mark.parametrize("slot", SLOTS, ids=" ".join)
def test_no_message_has_the_password_of_a_url(
    run: Run, slot: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_model: None
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in PLACES:
        for password in ("Tulip77", "it's'Tulip77", "Tül\\ip77"):
            url = place.format(password)
            answer = run(*(each.format(url) if "{}" in each else each for each in slot))
            assert answer.code in {2, 3}
            shown = answer.out + answer.err
            assert not any(part in shown for part in ("ip77", "Tulip", "T\\xfcl")), (url, shown)
    assert list(tmp_path.iterdir()) == []


@given(PASSWORDS, st.sampled_from(PLACES))
def test_a_quoted_argument_is_masked(password: str, place: str) -> None:
    url = place.format(password)
    secrets = find_secrets(["add", url, "docs"])
    for shown in (url, repr(url), ascii(url), json.dumps(url, ensure_ascii=False), str(Path(url))):
        assert password not in mask_secrets(f"No such thing: {shown}.", secrets)


def test_words_stay_as_they_are() -> None:
    secrets = find_secrets(["postgresql://me@h/d", "redis://:a@h/0", "file:./kb", "a text: with words", "x@y.org"])
    assert mask_secrets("There is no name me in a table of x@y.org.", secrets) == (
        "There is no name me in a table of x@y.org."
    )
    assert (
        mask_secrets("postgresql://me@h/d and redis://:a@h/0", secrets) == "postgresql://***@h/d and redis://:***@h/0"
    )


@pytest.mark.parametrize("place", PLACES[:9])
def test_a_url_is_no_name_and_is_not_quoted(place: str) -> None:
    with pytest.raises(InvalidArgument, match="a URL stands where a name belongs") as raised:
        check_name(place.format("Tulip77"), "Store")
    assert "Tulip77" not in str(raised.value)


def test_the_error_document_is_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["ls", "docs", "redis://:Tulip77@h/0", "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert "Tulip77" not in error["message"]
    assert "***" in error["message"]
