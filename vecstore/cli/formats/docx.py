"""DOCX: paragraphs, lists, tables, footnotes and text boxes; deleted text, headers and footers are left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from ...errors import MissingExtra
from .archives import ERRORS, open_archive, parse_member, read_member
from .html import make_part
from .parts import BrokenDocument, DocumentText

_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
_MARKUP = (".xml", ".rels")
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)")


def read(path: Path, limit: int, encoding: str | None) -> DocumentText:
    """Read a Word document."""
    try:
        import mammoth
    except ImportError as error:
        raise MissingExtra("mammoth", "documents") from error
    with open_archive(path, "a DOCX file", _MARKUP) as archive:
        _check(archive)
        title = _read_title(archive)
    try:
        with path.open("rb") as file:
            converted = mammoth.convert_to_html(
                file, style_map=_STYLES, include_embedded_style_map=False, external_file_access=False,
                convert_image=mammoth.images.img_element(_omit_image),
            )  # fmt: skip
    except RecursionError as error:
        raise BrokenDocument("nested too deeply") from error
    except ERRORS as error:
        raise BrokenDocument("damaged: not the content of a DOCX file") from error
    return DocumentText([make_part(converted.value, whole=True).part], title)


def _check(archive: ZipFile) -> None:
    names = archive.namelist()
    if not any(name.startswith("word/") for name in names):
        raise BrokenDocument("damaged: not a DOCX file, as it has no word/ folder")
    for name in names:
        if name.endswith(_MARKUP) and _DOCTYPE.search(read_member(archive, name)):
            raise BrokenDocument(f"{name} declares entities, which no such document needs")


def _read_title(archive: ZipFile) -> str | None:
    if "docProps/core.xml" not in archive.namelist():
        return None
    text = parse_member(archive, "docProps/core.xml").findtext(f".//{_TITLE}")
    return text.strip() if text and text.strip() else None


def _omit_image(image: Any) -> dict[str, str]:
    return {}
