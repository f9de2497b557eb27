"""Documents are split at headings, between paragraphs, and nothing of them is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecstore.cli.passages import passages

MARKDOWN = """\
# Guide

Welcome.

## Install

Run pip.

```python
# not a heading

x = 1
```

## Use
Call it.

Setext
======
The end.
"""


def test_sections_become_passages_with_their_headings_and_lines() -> None:
    found = [(passage.heading, passage.line, passage.text.splitlines()[0]) for passage in passages(MARKDOWN)]
    assert found == [
        ("Guide", 1, "# Guide"),
        ("Guide > Install", 5, "## Install"),
        ("Guide > Use", 15, "## Use"),
        ("Setext", 18, "Setext"),
    ]


def test_fenced_code_is_no_heading_and_stays_whole() -> None:
    install = list(passages(MARKDOWN))[1]
    assert install.text == "## Install\n\nRun pip.\n\n```python\n# not a heading\n\nx = 1\n```"


def test_short_paragraphs_share_a_passage() -> None:
    assert [passage.text for passage in passages("one\n\ntwo\n\nthree")] == ["one\n\ntwo\n\nthree"]


def test_a_full_passage_ends_at_a_paragraph() -> None:
    text = "\n\n".join(letter * 60 for letter in "abcd")
    assert [passage.text for passage in passages(text, 130)] == [
        "a" * 60 + "\n\n" + "b" * 60,
        "c" * 60 + "\n\n" + "d" * 60,
    ]
    assert [passage.line for passage in passages(text, 130)] == [1, 5]


def test_a_long_paragraph_is_cut_after_a_sentence() -> None:
    text = "This is a sentence of some length. " * 20
    assert all(passage.text.endswith("length.") for passage in passages(text, 150))


def test_a_word_without_end_is_cut_anyway() -> None:
    assert [len(passage.text) for passage in passages("x" * 250, 100)] == [100, 100, 50]


def test_headings_without_a_body_stay_with_what_follows() -> None:
    (passage,) = passages("# A\n\n## B\n\ntext")
    assert (passage.heading, passage.text) == ("A > B", "# A\n\n## B\n\ntext")


def test_front_matter_is_left_out() -> None:
    (passage,) = passages("---\ntitle: x\n---\nbody")
    assert (passage.text, passage.line, passage.heading) == ("body", 4, "")


@pytest.mark.parametrize("text", ["", "\n\n", "   \n\t\n", "\r\n"])
def test_nothing_gives_nothing(text: str) -> None:
    assert list(passages(text)) == []


def test_line_ends_of_other_systems() -> None:
    assert [passage.text for passage in passages("# A\r\n\r\none\rtwo")] == ["# A\n\none\ntwo"]


def test_a_fence_that_is_never_closed_hides_nothing() -> None:
    assert [passage.heading for passage in passages("```\ncode\n\n# A\n\ntext")] == ["", "A"]


@given(st.lists(st.sampled_from(["word ", "Sentence. ", "\n", "\n\n", "# H\n", "```\n", "===\n", "x" * 90, "  "])))
def test_every_word_is_in_exactly_one_passage_and_sizes_hold(parts: list[str]) -> None:
    text = "".join(parts)
    found = list(passages(text, 100))
    assert "".join("".join(passage.text.split()) for passage in found) == "".join(text.split())
    assert all(0 < len(passage.text) <= 100 for passage in found)
    lines = text.split("\n")
    for passage in found:
        assert passage.text.split("\n")[0].strip() in lines[passage.line - 1]
