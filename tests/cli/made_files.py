"""Documents made byte by byte, without the libraries that read them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def make_pdf(pages: Sequence[str | None], *, title: str = "", outline: Mapping[str, int] | None = None) -> bytes:
    """Return a PDF; a page is its text, whose lines are shown below each other, or None for an image of text."""
    objects: dict[int, bytes] = {1: b"", 2: b""}
    font = _add(objects, b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>")
    image = _add(objects, make_stream(b"\0", b"/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray"
                                  b"/BitsPerComponent 8"))  # fmt: skip
    kids = []
    for page in pages:
        content = _add(objects, make_stream(_draw(page)))
        resources = b"<</Font<</F1 %d 0 R>>/XObject<</I %d 0 R>>>>" % (font, image)
        page_entries = b"/MediaBox[0 0 600 800]/Contents %d 0 R/Resources%s" % (content, resources)
        kids.append(_add(objects, b"<</Type/Page/Parent 2 0 R%s>>" % page_entries))
    objects[2] = b"<</Type/Pages/Kids[%s]/Count %d>>" % (b" ".join(b"%d 0 R" % kid for kid in kids), len(kids))
    objects[1] = b"<</Type/Catalog/Pages 2 0 R%s>>" % _add_outline(objects, outline or {}, kids)
    info = _add(objects, b"<</Title(%s)>>" % title.encode())
    return write_pdf(objects, b"/Info %d 0 R" % info)


def write_pdf(objects: Mapping[int, bytes], trailer: bytes = b"") -> bytes:
    """Return the file that holds objects, of which number 1 is the catalogue."""
    data = b"%PDF-1.4\n"
    places = {}
    for number, body in sorted(objects.items()):
        places[number] = len(data)
        data += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % places[number] for number in sorted(places))
    size = len(objects) + 1
    return data + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (
        size, table, size, trailer, len(data),
    )  # fmt: skip


def _add(objects: dict[int, bytes], body: bytes) -> int:
    number = len(objects) + 1
    objects[number] = body
    return number


def make_stream(data: bytes, entries: bytes = b"") -> bytes:
    """Return a compressed stream of a PDF."""
    packed = zlib.compress(data)
    return b"<<%s/Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (entries, len(packed), packed)


def _draw(page: str | None) -> bytes:
    if page is None:
        return b"q 600 0 0 800 0 0 cm /I Do Q"
    shown = b"".join(b"(%s) Tj 0 -14 Td " % line.encode("cp1252") for line in page.splitlines())
    return b"BT /F1 12 Tf 50 750 Td %sET" % shown


def _add_outline(objects: dict[int, bytes], outline: Mapping[str, int], kids: Sequence[int]) -> bytes:
    if not outline:
        return b""
    root = _add(objects, b"")
    entries = [_add(objects, b"") for _ in outline]
    for place, (name, page) in enumerate(outline.items()):
        following = b"/Next %d 0 R" % entries[place + 1] if place + 1 < len(entries) else b""
        objects[entries[place]] = b"<</Title(%s)/Parent %d 0 R/Dest[%d 0 R/Fit]%s>>" % (
            name.encode(), root, kids[page - 1], following,
        )  # fmt: skip
    objects[root] = b"<</Type/Outlines/First %d 0 R/Last %d 0 R/Count %d>>" % (entries[0], entries[-1], len(entries))
    return b"/Outlines %d 0 R" % root


def paragraph(text: str, style: str = "") -> str:
    """Return a paragraph of a DOCX file."""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{escape(text)}</w:t></w:r></w:p>"


def write_docx(path: Path, body: str, *, title: str = "", beginning: str = "", relations: str = "") -> Path:
    """Write a DOCX file of the given paragraphs."""
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="berschrift{level}"><w:name w:val="heading {level}"/></w:style>'
        for level in (1, 2)
    )
    members = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_RELATIONSHIPS}"><Relationship Id="r1" Type="{_OFFICE}/officeDocument" '
        'Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_RELATIONSHIPS}"><Relationship Id="r2" '
        f'Type="{_OFFICE}/styles" Target="styles.xml"/>{relations}</Relationships>',
        "word/styles.xml": f'<w:styles xmlns:w="{W}">{styles}</w:styles>',
        "word/document.xml": f'{beginning}<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>',
        "docProps/core.xml": '<p xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>{escape(title)}</dc:title></p>",
    }  # fmt: skip
    return write_zip(path, members)


def write_epub(
    path: Path, chapters: Mapping[str, str], *, title: str = "", more: Mapping[str, str] | None = None
) -> Path:
    """Write an EPUB file of XHTML chapters, given by file name as the content of their bodies."""
    items = "".join(
        f'<item id="c{number}" href="{name}" media-type="application/xhtml+xml"/>'
        for number, name in enumerate(chapters)
    )
    order = "".join(f'<itemref idref="c{number}"/>' for number in range(len(chapters)))
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{escape(title)}</dc:title></metadata>'
        f"<manifest>{items}</manifest><spine>{order}</spine></package>",
        **{f"OEBPS/{name}": f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{body}</body></html>'
           for name, body in chapters.items()},
        **(more or {}),
    }  # fmt: skip
    return write_zip(path, members)


def write_zip(path: Path, members: Mapping[str, str]) -> Path:
    """Write a ZIP archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
