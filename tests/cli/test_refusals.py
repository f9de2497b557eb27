"""What is no document is refused by name: in a directory, chosen by --glob, or named singly; never taken for prose."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.made_files import make_pdf, write_zip
from tests.cli.test_formats import metadata, read
from vecstore.cli.formats import kinds
from vecstore.fields import Keyword

RECORD = '{"id": "1", "text": "Tea is hot."}'
HTML = "<!-- saved -->\n<!DOCTYPE html><html><body><p>Tea</p></body></html>"
NOTEBOOK = json.dumps({"cells": [{"cell_type": "markdown", "source": "Tea"}]}, indent=1)
NAMED: Mapping[str, tuple[bytes, str]] = {
    "letter.doc": (b"\xd0\xcf\x11\xe0 Tea", ".doc is not read; save it as .docx or PDF"),
    "letter.ODT": (b"Tea", ".odt is not read; save it as .docx or PDF"),
    "letter.rtf": (b"{\\rtf1 Tea}", ".rtf is not read; save it as .docx or PDF"),
    "talk.pptx": (b"Tea", ".pptx is not read; export it as PDF"),
    "sheet.xlsx": (b"Tea", ".xlsx is not read; save each sheet as CSV"),
    "book.mobi": (b"Tea", ".mobi is not read; convert it to EPUB"),
    "mail.eml": (b"Subject: Tea", ".eml is not read; save its text"),
    "feed.xml": (b"<rss>Tea</rss>", ".xml is not read; markup without a reading order"),
    "image.svg": (b"<svg><text>Tea</text></svg>", ".svg is not read"),
    "notes.txt.gz": (gzip.compress(b"Tea"), ".gz is not read; unpack it"),
    "all.zip": (b"PK\x03\x04", ".zip is not read; unpack it"),
    "data.sqlite": (b"SQLite format 3\0", ".sqlite is not read; convert it"),
    "pdf.txt": (make_pdf(["Tea"]), "by its content a PDF: name it .pdf"),
    "pdf.md": (make_pdf(["Tea"]), "by its content a PDF: name it .pdf"),
    "zip.txt": (b"PK\x03\x04Tea", "by its content a ZIP archive"),
    "rtf.txt": (b"{\\rtf1 Tea}", "by its content RTF"),
    "word.txt": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1Tea", "by its content an old or a password-protected Office"),
    "script.txt": (b"%!PS Tea", "by its content PostScript"),
    "gzip.log": (gzip.compress(b"Tea"), "by its content compressed with gzip"),
    "table": (b"PAR1 Tea", "by its content Parquet: name it .parquet"),
    "html.txt": (HTML.encode(), "by its content HTML: name it .html"),
    "html.md": (b"\xef\xbb\xbf" + HTML.encode(), "by its content HTML: name it .html"),
    "html": (HTML.encode("utf-16"), "by its content HTML: name it .html"),
    "rss.txt": (b"<?xml version='1.0'?><rss>Tea</rss>", "by its content XML"),
    "records.txt": (f"{RECORD}\n{RECORD}\n".encode(), "by its content JSON"),
    "records.log": (f"[\n{RECORD},\n{RECORD}\n]".encode(), "by its content JSON"),
    "notebook.md": (NOTEBOOK.encode(), "by its content JSON"),
    "cut.txt": (b'{"id": 1, "text": "Tea is', "by its content JSON"),
    "long.txt": (b'{"text": "' + b"Tea " * 500_000 + b'"}', "by its content JSON"),
    "binary.md": (b"Tea\0\1\2\3", "binary"),
    "picture": (b"\x89PNG\r\n\x1a\n\0", "by its content an image"),
    "wide.txt": ("Tea is served at four.".encode("utf-16-le"), "not UTF-8 but probably UTF-16. Add --encoding"),
    "latin.txt": (b"Tea\nGr\xfc\xdfe", "line 2 is not UTF-8. Name the file's encoding with --encoding"),
}  # fmt: skip
RECORD_FILES = ["a.jsonl", "b.ndjson", "c.CSV", "d.tsv", "e.parquet"]
PROSE = {
    "brackets.txt": "[1] The first note.\n\nTea.", "braces.md": "{: .note}\n# Tea", "list.txt": "[1, 2] and [3]",
    "front.md": '{"title": "Tea"}\n\nWater boils.', "comment.md": "<!-- a note -->\n# Tea\n\n<p align=center>Hot</p>",
    "mark.txt": "BZh is no word.", "pdf.txt": "A file begins with %PDF-", "README": "Tea", "Tea.adoc": "= Tea",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_a_file_named_singly_is_refused(tmp_path: Path, name: str) -> None:
    data, reason = NAMED[name]
    (tmp_path / name).write_bytes(data)
    items, skipped = read(tmp_path / name)
    assert (items, [each.place for each in skipped]) == ([], [f"f/{name}"])
    assert reason in skipped[0].reason


def test_files_chosen_by_a_pattern_are_refused(tmp_path: Path) -> None:
    for name, (data, _) in NAMED.items():
        (tmp_path / name).write_bytes(data)
    items, skipped = read(tmp_path, patterns=["*"])
    assert items == []
    found = {each.place.removeprefix("f/"): each.reason for each in skipped}
    assert {name for name, (_, reason) in NAMED.items() if reason not in found[name]} == set()


@pytest.mark.parametrize("patterns", [(), ("*",)])
def test_files_of_records_in_a_directory_are_refused(tmp_path: Path, patterns: tuple[str, ...]) -> None:
    for name in RECORD_FILES:
        (tmp_path / name).write_text(RECORD)
    items, skipped = read(tmp_path, patterns=patterns)
    assert items == []
    reason = "a file of records; to add its records, name the file itself instead of its directory"
    assert {each.place: each.reason for each in skipped} == {f"f/{name}": reason for name in RECORD_FILES}


@pytest.mark.parametrize("name", PROSE)
def test_prose_is_read_whatever_it_begins_with(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(PROSE[name])
    items, skipped = read(tmp_path / name)
    assert skipped == []
    assert "".join("".join(item.record.text or "" for item in items).split()) == "".join(PROSE[name].split())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.ipynb"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str, name: str) -> None:
    text = "Grüße" if name != "a.ipynb" else json.dumps({"cells": [{"source": "Grüße"}]}, ensure_ascii=False)
    (tmp_path / name).write_bytes(text.encode(encoding))
    items, skipped = read(tmp_path / name)
    assert ([item.record.text for item in items], skipped) == (["Grüße"], [])


def test_source_code_chosen_by_a_pattern_has_no_headings(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("# load it\n\nx = 1\n=====\n")
    items, skipped = read(tmp_path, patterns=["*.py"])
    assert skipped == []
    assert [metadata(item) for item in items] == [{"line": 1}]


def test_what_a_directory_holds_beside_documents_is_counted_in_one_line(run: Run, url: str, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.md").write_text("Tea")
    for name in ("a.png", "b.PNG", "c.css", "Makefile"):
        (folder / name).write_text("x")
    answer = run("add", url, "notes", folder)
    assert answer.code == 0
    assert "site: files of other kinds: .png (2 files), .css (1 file), no ending (1 file)." in answer.err


def test_a_refused_file_is_named_and_nothing_is_created(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "letter.doc").write_text("Tea")
    answer = run("add", url, "notes", tmp_path / "letter.doc")
    assert answer.code == 2
    assert ".doc is not read; save it as .docx or PDF: " in answer.err
    assert "letter.doc" in answer.err
    assert "store 'notes' was not created" in answer.err


@pytest.mark.parametrize("name", ["a.html", "a.pdf", "a.docx", "a.epub"])
def test_without_the_extra_the_error_names_it(
    run: Run, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(kinds, "find_spec", lambda library: None)
    (tmp_path / name).write_text("x")
    answer = run("add", url, "notes", tmp_path / name)
    assert answer.code == 2
    kind = name.removeprefix("a.").upper()
    assert f'{kind} is read with an extra: pip install "vecstore-db[documents]": {tmp_path.name}/{name}' in answer.err


def test_notebooks_and_text_need_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "find_spec", lambda library: None)
    (tmp_path / "a.ipynb").write_text(NOTEBOOK)
    (tmp_path / "a.md").write_text("Coffee")
    items, _ = read(tmp_path)
    assert [item.record.text for item in items] == ["Tea", "Coffee"]


def test_a_page_number_does_not_go_into_a_field_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf(["Tea"], title="Drinks"))
    items, _ = read(tmp_path / "a.pdf", fields={"page": Keyword(), "title": Keyword()})
    assert [metadata(item) for item in items] == [{"title": "Drinks"}]


def test_an_archive_of_many_members_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.epub", "w") as archive:
        for number in range(100_001):
            archive.writestr(str(number), b"")
    _, skipped = read(tmp_path / "a.epub")
    assert "unpacks to more than" in skipped[0].reason


def test_a_chapter_outside_of_the_archive_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.xhtml").write_text("<p>secret</p>")
    package = '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="../../secret.xhtml" '
    package += 'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>'
    container = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    container += '<rootfile full-path="book.opf"/></rootfiles></container>'
    write_zip(tmp_path / "a.epub", {"META-INF/container.xml": container, "book.opf": package})
    items, skipped = read(tmp_path / "a.epub")
    assert items == []
    assert "none of its chapters can be read" in skipped[0].reason
