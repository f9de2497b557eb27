"""EPUB: the chapters of the reading order, each with its headings; the title of the book."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

from .archives import open_archive, parse_member, read_member
from .content import decode_markup
from .html import expand_empty_elements, make_part
from .parts import BrokenDocument, DocumentPart, DocumentText

_MARKUP = (".xhtml", ".html", ".htm", ".xml", ".opf", ".xht")
_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_ENC = "{http://www.w3.org/2001/04/xmlenc#}"
_CHAPTERS = {"application/xhtml+xml", "text/html", "application/xml", "text/x-oeb1-document"}


def read(path: Path, limit: int, encoding: str | None) -> DocumentText:
    """Read a book."""
    parts: list[DocumentPart] = []
    gaps: list[tuple[str, str]] = []
    with open_archive(path, "an EPUB file", _MARKUP) as archive:
        package = _find_package(archive)
        root = parse_member(archive, package)
        encrypted = _list_encrypted(archive)
        for name, kind in _list_chapters(root, posixpath.dirname(package)):
            if kind not in _CHAPTERS:
                gaps.append((name, f"a chapter of the type {kind[:60]!a}, which has no text to read"))
            elif name in encrypted:
                raise BrokenDocument("encrypted (DRM)")
            else:
                try:
                    markup = expand_empty_elements(decode_markup(read_member(archive, name), encoding))
                    parts.append(make_part(markup, whole=True).part)
                except BrokenDocument as error:
                    gaps.append((name, error.reason))
    if gaps and not parts:
        raise BrokenDocument(f"damaged: none of its chapters can be read; {gaps[0][0]}: {gaps[0][1]}")
    title = " ".join((root.findtext(f"{_OPF}metadata/{_DC}title") or "").split())
    return DocumentText(parts, title or None, gaps)


def _find_package(archive: ZipFile) -> str:
    container = parse_member(archive, "META-INF/container.xml")
    place = container.find(f"{_CONTAINER}rootfiles/{_CONTAINER}rootfile")
    name = None if place is None else place.get("full-path")
    if not name:
        raise BrokenDocument("damaged: META-INF/container.xml names no package")
    return unquote(name)


def _list_chapters(package: Any, folder: str) -> Iterator[tuple[str, str]]:
    """Iterate over the names and media types of the reading order; each once, whatever the order says."""
    items = {item.get("id"): item for item in package.iterfind(f"{_OPF}manifest/{_OPF}item")}
    seen: set[str] = set()
    for reference in package.iterfind(f"{_OPF}spine/{_OPF}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or "nav" in (item.get("properties") or "").split():
            continue
        name = posixpath.normpath(posixpath.join(folder, unquote((item.get("href") or "").partition("#")[0])))
        if name not in seen:
            seen.add(name)
            yield name, item.get("media-type") or ""


def _list_encrypted(archive: ZipFile) -> set[str]:
    """Return the names of encrypted members; fonts may be so in a book that is not."""
    if "META-INF/encryption.xml" not in archive.namelist():
        return set()
    found = parse_member(archive, "META-INF/encryption.xml").iterfind(f".//{_ENC}CipherReference")
    return {unquote(reference.get("URI") or "") for reference in found}
