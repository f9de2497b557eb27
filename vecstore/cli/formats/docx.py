"""DOCX: paragraphs, lists, tables, footnotes and text boxes; deleted text, headers and footers are left out."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from ...errors import MissingExtra
from .archives import ERRORS, open_archive, parse_member, read_member
from .html import make_part
from .parts import BrokenDocument, DocumentText

_STYLES = "p.Title => h1:fresh\np[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
_MARKUP = (".xml", ".rels")
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
# What mammoth leaves out although it holds text: simple fields, directions, equations, readings above characters.
_READINGS = re.compile(rb"<w:rt>.*?</w:rt>", re.DOTALL)
_EQUATION_TEXTS = re.compile(rb"<m:t(?:\s[^>]*)?>([^<]*)</m:t>")
_WRAPPERS = re.compile(rb"</?(?:w:(?:fldSimple|dir|bdo|ruby|rubyBase)|m:\w+)(?:\s[^>]*)?/?>")
_ELSEWHERE = re.compile(rb"<w:(altChunk|subDoc)\b")


def read(path: Path, limit: int, encoding: str | None) -> DocumentText:
    """Read a Word document."""
    try:
        import mammoth
    except ImportError as error:
        raise MissingExtra("mammoth", "documents") from error
    with open_archive(path, "a DOCX file", _MARKUP) as archive:
        markup, gaps = _copy_markup(archive)
        title = _read_title(archive)
    try:
        converted = mammoth.convert_to_html(
            markup, style_map=_STYLES, include_embedded_style_map=False, external_file_access=False,
            convert_image=mammoth.images.img_element(_omit_image),
        )  # fmt: skip
    except RecursionError as error:
        raise BrokenDocument("nested too deeply") from error
    except ERRORS as error:
        raise BrokenDocument("damaged: not the content of a DOCX file") from error
    return DocumentText([make_part(converted.value, whole=True).part], title, gaps)


def _copy_markup(archive: ZipFile) -> tuple[BytesIO, list[tuple[str, str]]]:
    """Return the archive without pictures, with all texts where mammoth finds them, and what is not in it."""
    names = archive.namelist()
    if not any(name.startswith("word/") for name in names):
        raise BrokenDocument("damaged: not a DOCX file, as it has no word/ folder")
    copy = BytesIO()
    gaps: list[tuple[str, str]] = []
    with ZipFile(copy, "w") as copied:
        for name in dict.fromkeys(name for name in names if name.lower().endswith(_MARKUP)):
            data = read_member(archive, name)
            if _DOCTYPE.search(data):
                raise BrokenDocument(f"{name} declares entities, which no such document needs")
            if _ELSEWHERE.search(data):
                gaps.append((name, "holds documents within the document, which are not read; save it as PDF"))
            if name.startswith("word/"):
                data = _EQUATION_TEXTS.sub(rb"<w:r><w:t>\1</w:t></w:r>", _READINGS.sub(b"", data))
                data = _WRAPPERS.sub(b"", data)
            copied.writestr(name, data)
    copy.seek(0)
    return copy, gaps


def _read_title(archive: ZipFile) -> str | None:
    if "docProps/core.xml" not in archive.namelist():
        return None
    text = parse_member(archive, "docProps/core.xml").findtext(f".//{_TITLE}")
    return text.strip() if text and text.strip() else None


def _omit_image(image: Any) -> dict[str, str]:
    return {}
