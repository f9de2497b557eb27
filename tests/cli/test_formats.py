"""`vecstore add` with HTML, PDF, DOCX, EPUB and notebooks: their text, headings, titles, pages and cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.made_files import make_pdf, paragraph, write_docx, write_epub
from vecstore.cli.documents import Documents
from vecstore.cli.sources import Item, Skipped

PAGE = """<!doctype html><html><head><title> Tea
at home </title><style>p {color: red}</style></head><body>
<nav><a href="/">Home</a></nav><header><h1>Tea <a href="#tea">¶</a></h1></header>
<p>Tea is <b>served</b> at
four.</p><script>var secret = 1</script><noscript>Enable it</noscript>
<ul><li>one</li><li><p>two</p></li></ul>
<h2>Prices</h2><table><tr><th>cup</th><th>pot</th></tr><tr><td><p>1</p></td><td><p>2</p></td></tr></table>
<p hidden>unseen</p><p style="display: none">unseen</p><pre>
a = 1
  b</pre><footer>Imprint</footer></body></html>"""


def read(path: Path, **options: Any) -> tuple[list[Item], list[Skipped]]:
    """Return the passages of a document, and what was skipped."""
    found = list(Documents(path, "f", "/r", **options).items())
    return [each for each in found if isinstance(each, Item)], [each for each in found if isinstance(each, Skipped)]


def texts(path: Path) -> list[str]:
    items, skipped = read(path)
    assert skipped == []
    return [item.record.text or "" for item in items]


def metadata(item: Item) -> dict[str, Any]:
    return {
        key: value for key, value in item.record.metadata.items() if key not in {"folder", "source", "root"} and value
    }


def test_html_gives_its_main_text(tmp_path: Path) -> None:
    (tmp_path / "tea.HTML").write_text(PAGE)
    items, _ = read(tmp_path / "tea.HTML")
    assert [item.record.text for item in items] == [
        "Tea\n\nTea is served at four.\n\n- one\n- two",
        "Prices\n\ncup | pot\n1 | 2\n\na = 1\n  b",
    ]
    assert [metadata(item) for item in items] == [
        {"title": "Tea at home", "heading": "Tea"}, {"title": "Tea at home", "heading": "Tea > Prices"},
    ]  # fmt: skip


def test_pdf_gives_its_text_layer_by_page(tmp_path: Path) -> None:
    pages = ["Tea at four.\nFor exam-\nple hot.", None, "Coffee", "Cocoa"]
    (tmp_path / "a.pdf").write_bytes(make_pdf(pages, title="Drinks", outline={"Leaves": 1, "Beans": 3}))
    items, skipped = read(tmp_path / "a.pdf")
    assert [item.record.text for item in items] == ["Tea at four.\nFor example hot.", "Coffee", "Cocoa"]
    assert [metadata(item) for item in items] == [
        {"title": "Drinks", "heading": "Leaves", "page": 1}, {"title": "Drinks", "heading": "Beans", "page": 3},
        {"title": "Drinks", "heading": "Beans", "page": 4},
    ]  # fmt: skip
    assert [each.place for each in skipped] == ["f/a.pdf, page 2"]
    assert "no text layer" in skipped[0].reason


def test_docx_gives_its_paragraphs_under_their_headings(tmp_path: Path) -> None:
    body = paragraph("Guide", "berschrift1") + paragraph("Boil water.") + paragraph("Use", "berschrift2")
    inserted = "<w:ins><w:r><w:t>New &amp; good.</w:t></w:r></w:ins>"
    body += f"<w:p>{inserted}<w:del><w:r><w:delText>Old</w:delText></w:r></w:del></w:p>"
    items, skipped = read(write_docx(tmp_path / "a.docx", body, title="Tea"))
    assert ([item.record.text for item in items], skipped) == (["Guide\n\nBoil water.", "Use\n\nNew & good."], [])
    assert [metadata(item) for item in items] == [
        {"title": "Tea", "heading": "Guide"}, {"title": "Tea", "heading": "Guide > Use"},
    ]  # fmt: skip


def test_docx_gives_texts_that_are_wrapped(tmp_path: Path) -> None:
    wrapped = [
        "<w:fldSimple w:instr='REF x'><w:r><w:t>Field</w:t></w:r></w:fldSimple>",
        "<m:oMath xmlns:m='m'><m:r><m:t xml:space='preserve'>a=b</m:t></m:r></m:oMath>",
        "<w:r><w:ruby><w:rt><w:r><w:t>cha</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>茶</w:t></w:r></w:rubyBase></w:ruby></w:r>",
        "<w:sdt><w:sdtContent><w:r><w:t>Control</w:t></w:r></w:sdtContent></w:sdt>",
        "<w:hyperlink><w:r><w:t>Link</w:t></w:r></w:hyperlink>",
        "<w:moveTo><w:r><w:t>Moved</w:t></w:r></w:moveTo>",
        "<w:bdo w:val='rtl'><w:r><w:t>Right</w:t></w:r></w:bdo>",
    ]
    body = "".join(f"<w:p>{each}</w:p>" for each in wrapped)
    table = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("cup", "pot"))
    path = write_docx(tmp_path / "a.docx", f"{body}<w:tbl><w:tr>{table}</w:tr></w:tbl>")
    assert texts(path) == ["Field\n\na=b\n\n茶\n\nControl\n\nLink\n\nMoved\n\nRight\n\ncup | pot"]


def test_docx_says_what_is_in_other_documents(tmp_path: Path) -> None:
    items, skipped = read(write_docx(tmp_path / "a.docx", f"{paragraph('Tea')}<w:altChunk/>"))
    assert [item.record.text for item in items] == ["Tea"]
    assert [each.place for each in skipped] == ["f/a.docx, word/document.xml"]


def test_epub_gives_its_chapters_in_reading_order(tmp_path: Path) -> None:
    chapters = {"z.xhtml": "<h1>One</h1><p>First <a id='x'/>text.</p>", "a.xhtml": "<script src='x'/><p>Second.</p>"}
    items, _ = read(write_epub(tmp_path / "a.epub", chapters, title="Book"))
    assert [item.record.text for item in items] == ["One\n\nFirst text.", "Second."]
    assert [metadata(item) for item in items] == [{"title": "Book", "heading": "One"}, {"title": "Book"}]


def test_a_notebook_gives_its_cells_without_outputs(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Plan\n", "Buy tea."]},
        {"cell_type": "code", "source": "# boil\nx = 1", "outputs": [{"text": "secret"}]},
        {"cell_type": "markdown", "source": "## Later"},
        {"cell_type": "code", "source": "y = 2", "outputs": []},
    ]  # fmt: skip
    (tmp_path / "a.ipynb").write_text(json.dumps({"nbformat": 4, "metadata": {"title": "T"}, "cells": cells}))
    documents = Documents(tmp_path / "a.ipynb", "n", "/r")
    items = [each for each in documents.items() if isinstance(each, Item)]
    assert [item.record.text for item in items] == ["# Plan\nBuy tea.\n\n# boil\nx = 1", "## Later\n\ny = 2"]
    assert [metadata(item) for item in items] == [
        {"title": "T", "heading": "Plan", "cell": 1}, {"title": "T", "heading": "Plan > Later", "cell": 3},
    ]  # fmt: skip
    assert documents.notes == ["n: outputs of notebook cells that are not stored: 1."]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf<p>Gr\xc3\xbc\xc3\x9fe",
        "<p>Grüße".encode("utf-16"),
        b"<meta charset=iso-8859-1><p>Gr\xfc\xdfe",
        b"<meta http-equiv=Content-Type content='text/html; charset=windows-1252'><p>Gr\xfc\xdfe",
        b"<?xml version='1.0' encoding='ISO-8859-15'?><html xmlns='http://www.w3.org/1999/xhtml'><p>Gr\xfc\xdfe</p></html>",
    ],
)
def test_html_is_read_in_the_encoding_that_it_declares(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.htm").write_bytes(data)
    assert texts(tmp_path / "a.htm") == ["Grüße"]
