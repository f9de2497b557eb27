"""The page about documents has the table of formats and the limits of the code."""

from __future__ import annotations

import re

from tests.sources import ROOT
from vecstore.cli.formats import limits
from vecstore.cli.formats.kinds import FORMATS

PAGE = (ROOT / "docs" / "documents.md").read_text("utf-8")


def test_the_page_lists_every_format_with_its_endings() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
    listed = {row[0]: (set(row[1].replace("`", "").split()), row[2], row[4]) for row in rows if len(row) == 5}
    for each in FORMATS:
        endings, needs, stored = listed[each.name]
        assert endings == each.endings
        assert needs == ("`documents`" if each.libraries else "–")
        assert (f"`{each.unit}`" in stored) or not each.unit
    assert len(listed) == len(FORMATS) + 2  # the head and its rule


def test_the_page_lists_every_limit() -> None:
    figures = [int(text.replace(",", "")) for text in re.findall(r"\| ([\d,]+)(?: \w| \|)", PAGE)]
    assert figures == [
        limits.MAX_TEXT_BYTES >> 20, limits.MAX_HTML_BYTES >> 20, limits.MAX_FILE_BYTES >> 20,
        limits.MAX_UNPACKED_BYTES >> 20, limits.MAX_TEXT_CHARACTERS >> 20, limits.MAX_DEPTH, limits.MAX_SECONDS,
        limits.MAX_MEMORY_BYTES >> 20,
    ]  # fmt: skip
