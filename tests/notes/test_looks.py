"""Words, colours and the picture: what can be judged without a browser."""

from __future__ import annotations

import re

import pytest

from examples.notes.wording import CLOSE, DISTANT, VERY_CLOSE, count, describe_score, find_words, has_words, mark_words
from tests.sources import ROOT

from .picture import PICTURE

CSS = ROOT / "examples" / "notes" / "static" / "notes.css"


def measure_luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_apart(scheme: str) -> None:
    """By the contrast that WCAG 2 asks for: 4.5 for texts, 3 for the edges of what can be used."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", CSS.read_text("utf-8"))
    colours = {name: measure_luminance(light if scheme == "light" else dark) for name, light, dark in pairs}
    assert len(colours) == 11
    wanted = {
        4.5: "text/page text/card text/mark text/bad-page soft/page soft/card accent/page accent/card on-accent/accent "
        "bad/page bad/card",
        3.0: "edge/page edge/card accent/page",
    }
    for least, listed in wanted.items():
        for pair in listed.split():
            low, high = sorted(colours[name] for name in pair.split("/"))
            assert (high + 0.05) / (low + 0.05) >= least, pair


def test_words_are_marked_and_nothing_else_is_markup() -> None:
    words = find_words("The <b> CAFÉ, tea-house; an ox?")
    assert words == ["café", "house", "tea"]
    assert mark_words("Tea & <b>café</b>, teahouse", words) == (
        "<mark>Tea</mark> &amp; &lt;b&gt;<mark>café</mark>&lt;/b&gt;, teahouse"
    )
    assert mark_words("<i>", []) == "&lt;i&gt;"
    assert mark_words("x <mark>tea", words) == "x &lt;mark&gt;<mark>tea</mark>"
    assert (has_words("a Tea", words), has_words("teapot", words), has_words("a", [])) == (True, False, False)


def test_scores_in_words() -> None:
    scores = (None, DISTANT, CLOSE, VERY_CLOSE, 1.0)
    words = ["Contains your words", "Loosely related", "Close", "Very close", "Very close"]
    assert [describe_score(score) for score in scores] == words
    assert [count(number, "note") for number in (0, 1, 2_000)] == ["0 notes", "1 note", "2,000 notes"]


def test_the_picture_is_small_and_shown() -> None:
    assert PICTURE.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert PICTURE.stat().st_size <= 150_000
    assert f"]({PICTURE.relative_to(ROOT).as_posix()})" in (ROOT / "README.md").read_text("utf-8")
