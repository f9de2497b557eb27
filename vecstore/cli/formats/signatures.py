"""What a file is by its first bytes, whatever it is called."""

from __future__ import annotations

import json
import re

_BINARY: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF: name it .pdf"),
    (b"PK\x03\x04", "a ZIP archive, as .docx and .epub are: give it its ending, or unpack it"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or a password-protected Office document: save it as .docx or PDF"),
    (b"{\\rtf", "RTF: save it as .docx or PDF"),
    (b"%!PS", "PostScript: export it as PDF"),
    (b"\x1f\x8b", "compressed with gzip: unpack it"),
    (b"\xfd7zXZ\0", "compressed with xz: unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it"),
    (b"PAR1", "Parquet: name it .parquet"),
    (b"ARROW1", "Arrow: convert it to Parquet"),
    (b"SQLite format 3\0", "an SQLite database: export it as CSV"),
    (b"\x89PNG\r\n", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF87a", "an image"),
    (b"GIF89a", "an image"),
    (b"\x7fELF", "a program"),
)
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_COMMENTS = re.compile(r"(?:\s|<!--.*?-->)*", re.DOTALL)
_MARKUP = re.compile(r"<(!doctype\s+html|html[\s>]|head[\s>]|\?xml\b|!doctype\b|svg[\s>])", re.IGNORECASE)
_HEAD = 4_096
_LONGEST_LINE = 1 << 20


def find_signature(data: bytes) -> str | None:
    """Return what a file is that is no text, with what to do about it; None if it may be text."""
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    found = next((what for magic, what in _BINARY if head.startswith(magic)), None)
    return "compressed with bzip2: unpack it" if found is None and _BZIP2.match(head) else found


def find_markup(text: str) -> str | None:
    """Return what a text is that is no prose (HTML, XML, JSON), with what to do about it; None for any other."""
    head = text[:_HEAD]
    after = _COMMENTS.match(head)
    if found := _MARKUP.match(head, after.end() if after else 0):
        is_html = found[1].lower().startswith(("html", "head")) or "html" in found[1].lower()
        return "HTML: name it .html" if is_html else "XML: convert it to Markdown or JSON lines"
    start = len(head) - len(head.lstrip("\ufeff \t\r\n"))
    if head[start : start + 1] in {"{", "["} and _is_json(text[start : start + _LONGEST_LINE]):
        return "JSON: name it .json, .jsonl or .ipynb, whichever it is"
    return None


def _is_json(text: str) -> bool:
    """Say whether a text begins with JSON that is data: an object, or a list of objects or lists.

    What ends in the middle of JSON, because it is longer than what is looked at or was cut, is JSON too.
    """
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        is_cut = len(text) == _LONGEST_LINE or text[0] == "{"
        return error.pos >= len(text.rstrip()) or (is_cut and error.msg.startswith("Unterminated string"))
    except (ValueError, RecursionError):
        return True
    is_alone = text[end:].lstrip(" \t\r\n,")[:1] in {"", "{", "["}
    return is_alone and (isinstance(value, dict) or (isinstance(value, list) and bool(value) and _has_data(value)))


def _has_data(values: list[object]) -> bool:
    return all(isinstance(value, dict | list) for value in values)
