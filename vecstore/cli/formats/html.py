"""HTML: the main text with its headings, without scripts, styles and navigation.

The parser is that of browsers (lexbor), which loads nothing. What is main text is decided by elements and their roles
alone: the same page always gives the same text, and no text is left out for being short.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import MissingExtra
from . import limits
from .content import check_binary, check_text, decode_markup, read_bytes
from .layout import TextLayout
from .parts import BrokenDocument, DocumentPart, DocumentText
from .signatures import find_markup

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_NO_TEXT = frozenset({
    "script", "style", "template", "noscript", "iframe", "object", "embed", "svg", "canvas", "audio", "video", "head",
    "select", "datalist", "textarea", "button", "input", "map", "frameset", "noframes", "applet",
})  # fmt: skip
_NAVIGATION = frozenset({"nav", "menu"})
_NAVIGATION_ROLES = frozenset({"navigation", "search", "menu", "menubar", "toolbar", "banner", "contentinfo"})
_OF_THE_PAGE = frozenset({"footer", "aside"})
"""Left out where they belong to the page; kept within an article or the main element."""
_CONTENT = frozenset({"main", "article", "section", "blockquote", "td", "li"})
_MARKS = frozenset({"¶", "#", "§", "🔗", "\uf0c1", ""})
"""Texts of links from a heading to itself."""
_INVISIBLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)")
_NOT_NESTED = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
    "p", "li", "dt", "dd", "td", "th", "tr", "option", "thead", "tbody", "tfoot", "html", "body", "head", "colgroup",
})  # fmt: skip
_EMPTY_ELEMENT = re.compile(r"<([a-zA-Z][\w:-]*)((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*?)/>")
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
})  # fmt: skip
_XHTML = re.compile(r"<\?xml\b|<html\b[^>]*\bxmlns\s*=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """A parsed page.

    Attributes
    ----------
    title : str, optional
        Of the ``title`` element.
    part : DocumentPart
    """

    title: str | None
    part: DocumentPart


def read(path: Path, limit: int, encoding: str | None) -> DocumentText:
    """Read an HTML or XHTML file."""
    data = read_bytes(path, limit)
    check_text(data)
    text = decode_markup(data, encoding)
    check_binary(text)
    if (found := find_markup(text)) is not None and found.startswith("JSON"):
        raise BrokenDocument(f"by its content {found}")
    if _XHTML.search(text[:1_000]):
        text = expand_empty_elements(text)
    page = make_part(text)
    return DocumentText([page.part], page.title)


def make_part(markup: str, *, whole: bool = False) -> ParsedPage:
    """Parse HTML.

    Parameters
    ----------
    markup : str
    whole : bool
        Keep all text of the body, not only what is main text: the page is a chapter of a book or a document.

    Raises
    ------
    BrokenDocument
        Its elements are nested too deeply.
    """
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise MissingExtra("selectolax", "documents") from error
    _check_depth(markup)
    tree = LexborHTMLParser(markup)
    layout = TextLayout()
    if not whole:
        _lay_out(_find_main(tree), layout, whole=False)
    if tree.body is not None and not layout.has_text:
        layout = TextLayout()
        _lay_out(tree.body, layout, whole=True)
    title = tree.css_first("head > title")
    return ParsedPage(" ".join(title.text().split()) or None if title is not None else None, layout.make_part())


def expand_empty_elements(markup: str) -> str:
    """Return XHTML with ``<a/>`` as ``<a></a>``: an HTML parser takes the former for the beginning of an element."""

    def expand(match: re.Match[str]) -> str:
        return match[0] if match[1].lower() in _VOID else f"<{match[1]}{match[2]}></{match[1]}>"

    return _EMPTY_ELEMENT.sub(expand, markup)


def _check_depth(markup: str) -> None:
    depth = 0
    for match in _TAG.finditer(markup):
        closing, tag = match.groups()
        if tag.lower() not in _NOT_NESTED:
            depth = max(0, depth - 1) if closing else depth + 1
            if depth > limits.MAX_DEPTH:
                raise BrokenDocument(f"has elements nested more than {limits.MAX_DEPTH:,} deep")


def _find_main(tree: LexborHTMLParser) -> LexborNode | None:
    found = tree.css("main, [role=main]")
    return found[0] if len(found) == 1 else tree.body


def _lay_out(root: LexborNode | None, layout: TextLayout, *, whole: bool) -> None:
    """Write the text below an element; without recursion, because depth is the page's to choose."""
    if root is None:
        return
    entered: list[LexborNode] = []
    is_content = whole or root.tag != "body"
    contents = 0
    node = root.child
    while node is not None or entered:
        if node is None:
            node = entered.pop()
            contents -= node.tag in _CONTENT
            layout.end(node.tag or "")
        elif node.tag == "-text":
            layout.add_text(node.text_content or "")
        elif not _is_left_out(node, whole=whole, is_content=is_content or contents > 0, layout=layout):
            contents += node.tag in _CONTENT
            layout.start(node.tag or "")
            entered.append(node)
            node = node.child
            continue
        node = node.next


def _is_left_out(node: LexborNode, *, whole: bool, is_content: bool, layout: TextLayout) -> bool:
    tag = node.tag or ""
    if tag in _NO_TEXT or tag.startswith(("-", "!")):
        return True
    if layout.is_in_heading and tag == "a":
        return node.text().strip() in _MARKS
    if whole:
        return False
    attributes = node.attributes
    role = attributes.get("role")
    return (
        tag in _NAVIGATION
        or role in _NAVIGATION_ROLES
        or (not is_content and (tag in _OF_THE_PAGE or role == "complementary"))
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(_INVISIBLE.search(attributes.get("style") or ""))
    )
