"""Damaged, encrypted and hostile documents: each gets a line that says why, and the next document is read."""

from __future__ import annotations

import gzip
import os
import socket
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cli.made_files import (
    make_pdf,
    make_stream,
    paragraph,
    write_docx,
    write_epub,
    write_pdf,
    write_zip,
)
from tests.cli.test_formats import read
from vecstore.cli.formats import limits
from vecstore.cli.formats.content import read_bytes
from vecstore.cli.formats.kinds import FORMATS
from vecstore.cli.formats.parts import BrokenDocument
from vecstore.cli.formats.process import ReaderProcess

PAGES = b"<</Type/Catalog/Pages 2 0 R>>"
LOCK = b"<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -4>>" % (b"00" * 32, b"11" * 32)
ENTITIES = (
    "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>"
    + "".join(f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in zip("abcdefghi", "bcdefghij", strict=True))
    + "]>"
)
OUTSIDE = "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>"
DEEP = 100_000


def make_nested_forms(depth: int) -> bytes:
    """Return a PDF whose page draws a form ten times, which draws another one ten times, and so on."""
    draw = b"/X Do " * 10
    forms = {
        number: make_stream(
            draw, b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 R>>>>" % (number + 1)
        )
        for number in range(5, 5 + depth)
    }
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>"
    last = make_stream(b"BT (x) Tj ET", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]")
    kids = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
    return write_pdf({1: PAGES, 2: kids, 3: page, 4: make_stream(draw), **forms, 5 + depth: last})


def lock(path: Path) -> Path:
    """Set the flag of encryption at each member of a ZIP archive."""
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(mark, place + 1)
    path.write_bytes(bytes(data))
    return path


BYTES: Mapping[str, tuple[bytes, str]] = {
    "deep.html": (b"<div>" * DEEP + b"x", "nested more than 5,000 deep"),
    "deep.xhtml": (b"<?xml version='1.0'?><html>" + b"<ul><li>" * DEEP, "nested more than 5,000 deep"),
    "attribute.html": (b"<a/" + b"<a " * DEEP, "nested more than 5,000 deep"),
    "binary.html": (b"<p>a\0b", "binary"),
    "codec.html": (b"<meta charset='rot13'><p>x", "declares the unknown encoding"),
    "latin.html": (b"<p>x\n<p>Gr\xfc\xdfe", "line 2 is not UTF-8. Name the file's encoding with --encoding"),
    "pdf.html": (make_pdf(["x"]), "by its content a PDF: name it .pdf"),
    "json.html": (b'{"id": "1", "text": "x"}\n{"id": "2"}\n', "by its content JSON"),
    "garbage.pdf": (b"no PDF", "damaged: not a PDF"),
    "cut.pdf": (make_pdf(["Tea"] * 20)[:900], "damaged: not a PDF"),
    "zip.pdf": (b"PK\x03\x04" + bytes(100), "not a PDF but a ZIP archive"),
    "cycle.pdf": (
        write_pdf({1: PAGES, 2: b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 100000>>"}),
        "damaged: none of its pages can be read",
    ),
    "cycles.pdf": (
        write_pdf({
            1: PAGES, 2: b"<</Type/Pages/Kids[3 0 R 3 0 R]/Count 2>>", 3: b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>",
        }),
        "damaged: none of its pages can be read",
    ),
    "count.pdf": (write_pdf({1: PAGES, 2: b"<</Type/Pages/Kids[]/Count 2147483647>>"}), "damaged"),
    "none.pdf": (write_pdf({1: PAGES, 2: b"<</Type/Pages/Kids[]/Count 0>>"}), "or one without pages"),
    "locked.pdf": (
        write_pdf({1: PAGES, 2: b"<</Type/Pages/Kids[]/Count 0>>", 3: LOCK}, b"/Encrypt 3 0 R/ID[<aa><aa>]"),
        "encrypted: save it without a password",
    ),
    "scanned.pdf": (make_pdf([None, None]), "no text layer; recognise its text first, for example with ocrmypdf"),
    "locked.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(900), "an old or a password-protected Office document"),
    "garbage.docx": (b"no ZIP", "damaged: not a DOCX file, which is a ZIP archive"),
    "garbage.epub": (b"PK\x03\x04 no ZIP", "damaged: not an EPUB file, which is a ZIP archive"),
    "pdf.epub": (make_pdf(["x"]), "not an EPUB file but a PDF"),
    "deep.ipynb": (b"[" * DEEP, "nested too deeply"),
    "deep2.ipynb": (b'{"cells":' * DEEP, "nested too deeply"),
    "garbage.ipynb": (b"{", "damaged: not a notebook"),
    "list.ipynb": (b"[1, 2]", "damaged: not a notebook"),
    "cells.ipynb": (b'{"cells": 3}', "damaged: not a notebook"),
    "source.ipynb": (b'{"cells": [{"source": {"a": 1}}]}', "damaged: not a notebook"),
    "nan.ipynb": (b'{"cells": [NaN]}', "damaged: not a notebook"),
    **{f"empty{ending}": (b"", "empty") for each in FORMATS for ending in sorted(each.endings)[:1]},
}  # fmt: skip

WRITTEN: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "entities.docx": (
        lambda path: write_docx(path, paragraph("x").replace("x", "&j;"), beginning=ENTITIES), "declares entities",
    ),
    "outside.docx": (lambda path: write_docx(path, paragraph("x").replace("x", "&e;"), beginning=OUTSIDE), "entities"),
    "entities.epub": (
        lambda path: write_epub(path, {}, more={"META-INF/container.xml": f"{ENTITIES}<a>&j;</a>"}), "entities",
    ),
    "outside.epub": (
        lambda path: write_epub(path, {}, more={"META-INF/container.xml": f"{OUTSIDE}<a>&e;</a>"}), "entities",
    ),
    "deep.docx": (
        lambda path: write_docx(path, "<w:tbl><w:tr><w:tc>" * DEEP + "</w:tc></w:tr></w:tbl>" * DEEP),
        "nested too deeply",
    ),
    "cut.docx": (lambda path: path.write_bytes(write_docx(path, paragraph("x")).read_bytes()[:700]), "damaged"),
    "other.docx": (lambda path: write_zip(path, {"xl/workbook.xml": "<a/>"}), "damaged: not a DOCX file"),
    "other.epub": (lambda path: write_zip(path, {"a": "b"}), "META-INF/container.xml is missing in it"),
    "broken.docx": (lambda path: write_docx(path, "<w:p>"), "damaged"),
    "locked.epub": (lambda path: lock(write_epub(path, {"a.xhtml": "<p>x"})), "encrypted: save it without a password"),
    "zeros.docx": (
        lambda path: write_zip(path, {"word/document.xml": "<a>" + " " * (limits.MAX_UNPACKED_BYTES + 1)}),
        "unpacks to more than 64 MiB",
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "z.md").write_text("The last document.")
    return tmp_path / "f"


def reasons(folder: Path) -> dict[str, str]:
    """Return why documents were not read; the last one always is."""
    items, skipped = read(folder)
    assert [item.record.text for item in items] == ["The last document."]
    return {each.place.removeprefix("f/"): each.reason for each in skipped}


def test_each_broken_file_has_its_reason_and_the_next_one_is_read(folder: Path) -> None:
    for name, (data, _) in BYTES.items():
        (folder / name).write_bytes(data)
    for name, (write, _) in WRITTEN.items():
        write(folder / name)
    found = reasons(folder)
    wanted = {name: reason for name, (_, reason) in [*BYTES.items(), *WRITTEN.items()]}
    assert set(found) == set(wanted)
    wrong = {name: found[name] for name, reason in wanted.items() if reason not in found[name]}
    assert wrong == {}


def test_a_document_that_takes_too_long_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SECONDS", 1)
    (folder / "slow.pdf").write_bytes(make_nested_forms(11))
    assert reasons(folder) == {"slow.pdf": "its reader took longer than 1 s"}


def test_a_document_that_needs_too_much_memory_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MEMORY_BYTES", 32 << 20)
    (folder / "wide.ipynb").write_text('{"cells": [' + '{"source": "x"},' * 400_000 + "{}]}")
    assert reasons(folder) == {"wide.ipynb": "needs more than 32 MiB of memory"}


def test_a_crash_of_a_parser_costs_one_document(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.pdf").write_bytes(make_pdf(["Tea"]))
    ask = ReaderProcess.read

    def crash_once(self: ReaderProcess, *arguments: object) -> object:
        if self._process is not None:
            os.kill(self._process.pid, 11)
        return ask(self, *arguments)  # type: ignore[arg-type]

    (folder / "b.pdf").write_bytes(make_pdf(["Coffee"]))
    monkeypatch.setattr(ReaderProcess, "read", crash_once)
    items, skipped = read(folder)
    assert [item.record.text for item in items] == ["Tea", "The last document."]
    assert "its reader crashed" in skipped[0].reason


def test_a_file_that_grows_is_read_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"a" * 101)
    with pytest.raises(BrokenDocument, match="larger than"):
        read_bytes(tmp_path / "log.txt", 100)
    with pytest.raises(BrokenDocument, match="not a regular file"):
        read_bytes(Path("/dev/zero"), 100)


def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(BrokenDocument, match="not a regular file"):
        read_bytes(tmp_path / "a.txt", 100)


def test_nothing_outside_of_a_document_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        place = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        links = f"<base href='{place}'/><link rel='stylesheet' href='{place}'/><script src='{place}'></script>"
        markup = f"{links}<img src='{place}'/><iframe src='{place}'></iframe><object data='{place}'></object><p>Tea</p>"
        (tmp_path / "a.html").write_text(markup)
        (tmp_path / "b.xhtml").write_text(f"<?xml version='1.0'?><!DOCTYPE html SYSTEM '{place}'><html>{markup}</html>")
        write_epub(tmp_path / "c.epub", {"a.xhtml": markup})
        image = '<w:p><w:r><w:drawing><a:blip xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
        image += (
            'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" r:link="out"/></w:drawing>'
        )
        relation = f'<Relationship Id="out" Type="image" Target="{place}" TargetMode="External"/>'
        write_docx(tmp_path / "d.docx", f"{image}</w:r></w:p>{paragraph('Tea')}", relations=relation)
        items, skipped = read(tmp_path)
        assert ([item.record.text for item in items], skipped) == (["Tea"] * 4, [])
        with pytest.raises(BlockingIOError):
            server.accept()


def test_parts_of_a_document_that_cannot_be_read_are_named(folder: Path) -> None:
    more = {"OEBPS/b.xhtml": "<div>" * DEEP}
    path = write_epub(folder / "a.epub", {"a.xhtml": "<p>Tea</p>", "b.xhtml": ""}, more=more)
    items, skipped = read(path)
    assert [item.record.text for item in items] == ["Tea"]
    assert [(each.place, each.reason) for each in skipped] == [
        ("f/a.epub, OEBPS/b.xhtml", "has elements nested more than 5,000 deep")
    ]


def test_a_bomb_of_streams_in_a_pdf_ends(folder: Path) -> None:
    packed = zlib.compress(b"BT (Tea ) Tj ET " * 4_000_000, 9)
    content = b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(packed), packed)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>"
    (folder / "a.pdf").write_bytes(
        write_pdf({1: PAGES, 2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>", 3: page, 4: content})
    )
    _, skipped = read(folder)
    assert len(skipped) <= 1


def test_compressed_documents_are_refused_by_name(folder: Path) -> None:
    (folder / "a.md.gz").write_bytes(gzip.compress(b"Tea"))
    assert reasons(folder) == {"a.md.gz": ".gz is not read; unpack it"}
