"""Documents are split at headings, between paragraphs, and nothing of them is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecstore.cli.front_matter import read_front_matter
from vecstore.cli.passages import passages
from vecstore.sentences import cut_text

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


def test_a_fence_that_is_never_closed_runs_to_the_end() -> None:
    (passage,) = passages("```\ncode\n\n# A\n\ntext")
    assert (passage.heading, passage.text) == ("", "```\ncode\n\n# A\n\ntext")


def test_a_tilde_fence_below_a_line_of_text_is_code() -> None:
    found = passages("Do this:\n~~~\n# install it\nmake\n~~~\n\nThen go on.\n")
    assert {passage.heading for passage in found} == {""}


@pytest.mark.parametrize("mark", ["```", "~~~~"])
@pytest.mark.parametrize("size", [1 << 17, 1 << 19, 1 << 20])
def test_code_longer_than_what_is_read_at_once_stays_code(mark: str, size: int) -> None:
    code = "# no heading\n\n" * (size // 14)
    found = list(passages(f"# Guide\n\n{mark}sh\n{code}{mark}\n\n# After\n\nThe end.\n"))
    assert {passage.heading for passage in found} == {"Guide", "After"}
    assert found[-1].text == "# After\n\nThe end."
    assert sum(passage.text.count("# no heading") for passage in found) == size // 14


def test_a_heading_in_a_quotation_or_a_list_is_no_section() -> None:
    found = passages("> # quoted\n\n- item\n\n  # nested\n\n<!--\n# hidden\n-->\n\n# Real\n\ntext\n")
    assert [passage.heading for passage in found] == ["", "Real"]


@pytest.mark.parametrize(
    "text",
    [
        "---\n\n# March\n\nThe blue door.\n\n---\n\n# April\n",
        "---\nno mapping here\n---\ntext",
        "---\ntitle: x\nnever closed",
        "\n---\ntitle: x\n---\ntext",
        "---\ntitle: [x\n---\ntext",
    ],
)
def test_what_is_no_front_matter_is_text(text: str) -> None:
    found = "".join("".join(passage.text.split()) for passage in passages(text))
    assert found == "".join(text.split())


def test_front_matter_says_what_is_written() -> None:
    text = '---\ntitle: "On: tea"\ntags: [hot, 2024]\ndate: 2024-05-01\n---\nbody'
    found = read_front_matter(text)
    assert found.values == {"title": "On: tea", "tags": ["hot", "2024"], "date": "2024-05-01"}
    assert text[found.end :] == "body"


CHINESE = "水在一百度时沸腾然后变成蒸汽飘走。茶叶应当放在阴凉干燥的地方保存。"
JAPANESE = "お茶は熱いうちに飲むのが一番おいしいです。水は百度で沸騰しますか？"
KOREAN = "차는 뜨거울 때 마시는 것이 가장 좋습니다. 물은 백 도에서 끓습니다."


@pytest.mark.parametrize("text", [CHINESE, JAPANESE, KOREAN])
def test_passages_end_where_sentences_do_without_spaces(text: str) -> None:
    assert {passage.text[-1] for passage in passages(text * 60)} <= set("。？.")


def test_thai_is_cut_at_its_spaces() -> None:
    text = "น้ำเดือดที่หนึ่งร้อยองศา ชาควรเก็บในที่แห้ง " * 60
    words = set(text.split())
    assert all(set(passage.text.split()) <= words for passage in passages(text))


@pytest.mark.parametrize("cluster", ["e\u0301", "👩‍👩‍👧‍👦", "🇨🇭", "กำ", "각"])
def test_a_grapheme_cluster_is_never_divided(cluster: str) -> None:
    found = list(passages(cluster * 500, 101))
    assert all(passage.text == cluster * (len(passage.text) // len(cluster)) for passage in found)


def test_reading_a_long_text_without_blank_lines_takes_linear_work(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []

    def count(text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
        looked_at.append(min(end - start, size + 32))
        return cut_text(text, start, end, size)

    monkeypatch.setattr("vecstore.cli.passages.cut_text", count)
    text = "2024-05-01 12:00:00 INFO request served in 12 ms path=/a/b/c\n" * 20_000
    assert len(list(passages(text))) > 1_000
    assert sum(looked_at) < 2 * len(text)


@pytest.mark.parametrize("underline", ["=", "-", "~", "^"])
def test_headings_of_restructured_text(underline: str) -> None:
    text = f"Title\n{underline * 5}\n\ntext\n\n~~~ no heading\n"
    assert [passage.heading for passage in passages(text, markup="rst")] == ["Title"]


@given(st.lists(st.sampled_from(["word ", "Sentence. ", "\n", "\n\n", "# H\n", "```\n", "===\n", "x" * 90, "  "])))
def test_every_word_is_in_exactly_one_passage_and_sizes_hold(parts: list[str]) -> None:
    text = "".join(parts)
    found = list(passages(text, 100))
    assert "".join("".join(passage.text.split()) for passage in found) == "".join(text.split())
    assert all(0 < len(passage.text) <= 100 for passage in found)
    lines = text.split("\n")
    for passage in found:
        assert passage.text.split("\n")[0].strip() in lines[passage.line - 1]


def test_flags_are_not_divided_and_need_linear_time() -> None:
    flags = "\U0001f1e9\U0001f1ea" * 50_000
    for text in (flags, "a" + flags):
        for passage in passages(text, 101):
            assert passage.text.removeprefix("a") == "\U0001f1e9\U0001f1ea" * (len(passage.text) // 2)
