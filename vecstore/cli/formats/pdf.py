"""PDF: the text layer, page by page, with headings of the outline. Nothing is recognised in images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MissingExtra
from ..blocks import Block, read_blocks
from . import limits
from .content import read_bytes
from .parts import BrokenDocument, DocumentPart, DocumentText, clean_text
from .signatures import find_signature

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

_MAX_BOOKMARKS = 10_000
_MAX_BROKEN = 1_000
_DIVIDED = re.compile("[\x02\ufffe]\r?\n?")
"""What PDFium writes for the hyphen of a word that a line end divides."""
_WRONG_PASSWORD, _UNKNOWN_HANDLER = 4, 5


def read(path: Path, limit: int, encoding: str | None) -> DocumentText:
    """Read a PDF. Page numbers count from 1."""
    try:
        from pypdfium2 import PdfiumError
    except ImportError as error:
        raise MissingExtra("pypdfium2", "documents") from error
    data = read_bytes(path, limit)
    document = _open(data)
    headings = _list_headings(document)
    parts: list[DocumentPart] = []
    broken: list[int] = []
    scanned: list[int] = []
    size = 0
    for number in range(1, len(document) + 1):
        try:
            page = document[number - 1]
            text = clean_text(_DIVIDED.sub("", page.get_textpage().get_text_range()))
        except PdfiumError:
            broken.append(number)
            if len(broken) > _MAX_BROKEN:
                break
            continue
        if text.strip():
            parts.append(_make_part(text, number, headings))
        elif _has_image(page):
            scanned.append(number)
        page.close()
        size += len(text)
        if size > limits.MAX_TEXT_CHARACTERS:
            raise BrokenDocument(f"holds more than {limits.MAX_TEXT_CHARACTERS >> 20} million characters")
    if broken and not parts and not scanned:
        raise BrokenDocument("damaged: none of its pages can be read")
    title = clean_text(document.get_metadata_value("Title")).strip() or None
    return DocumentText(parts, title, list(_list_gaps(scanned, broken, complete=not parts)))


def _open(data: bytes) -> PdfDocument:
    from pypdfium2 import PdfDocument, PdfiumError, raw

    signature = find_signature(data)
    if signature is not None and "a PDF" not in signature:
        raise BrokenDocument(f"not a PDF but {signature}")
    # A document without pages sets no error and leaves that of the document before; this sets one.
    raw.FPDF_LoadMemDocument64(b"", 0, None)
    try:
        return PdfDocument(data)
    except PdfiumError as error:
        code: Any = getattr(error, "err_code", None)
        if code == _WRONG_PASSWORD:
            raise BrokenDocument("encrypted: save it without a password") from error
        if code == _UNKNOWN_HANDLER:
            raise BrokenDocument("encrypted by a method that is not read") from error
        raise BrokenDocument("damaged: not a PDF, or one without pages") from error


def _list_headings(document: PdfDocument) -> list[tuple[int, list[str]]]:
    """Return the pages at which entries of the outline begin, in order, and the titles down to each entry."""
    found: list[tuple[int, list[str]]] = []
    path: list[str] = []
    for count, bookmark in enumerate(document.get_toc(max_depth=6)):
        if count >= _MAX_BOOKMARKS:
            break
        destination = bookmark.get_dest()
        page = destination.get_index() if destination else None
        path = [*path[: bookmark.level], " ".join(clean_text(bookmark.get_title()).split())]
        if page is not None:
            found.append((page + 1, path))
    return sorted(found, key=lambda entry: entry[0])


def _make_part(text: str, number: int, headings: Sequence[tuple[int, list[str]]]) -> DocumentPart:
    before = [path for page, path in headings if page < number]
    here = [path for page, path in headings if page == number]
    path = here[0] if here else before[-1] if before else []
    titles = [Block(0, 0, level, title) for level, title in enumerate(path, 1) if title]
    return DocumentPart(text, [*titles, *read_blocks(text, markup="text")], [(1, number)])


def _has_image(page: PdfPage) -> bool:
    from pypdfium2 import raw

    return next(iter(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)), None) is not None


def _list_gaps(scanned: Sequence[int], broken: Sequence[int], *, complete: bool) -> Iterator[tuple[str, str]]:
    ocr = "no text layer; recognise its text first, for example with ocrmypdf"
    if scanned:
        yield ("" if complete and not broken else _name_pages(scanned)), ocr
    if broken:
        yield _name_pages(broken), "damaged"


def _name_pages(numbers: Sequence[int]) -> str:
    ranges = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in _join_ranges(numbers))
    return f"page{'s' if len(numbers) > 1 else ''} {ranges[:200]}"


def _join_ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = 0
    for number in numbers:
        if first and number != last + 1:
            yield first, last
            first = number
        first, last = first or number, number
    if first:
        yield first, last
