"""The table of formats: which ending is read how, and what to do with a document that is not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ..blocks import Markup
from .limits import MAX_FILE_BYTES, MAX_HTML_BYTES, MAX_TEXT_BYTES


@dataclass(frozen=True, slots=True)
class Format:
    """A format of documents.

    Attributes
    ----------
    name : str
        As people call it.
    endings : frozenset of str
        Of file names, in lower case.
    module : str
        Which module of this package reads it in another process; empty for text, which is read in this one.
    libraries : tuple of str
        Modules of the extra ``documents`` that it needs.
    unit : {"line", "page", "cell", ""}
        What the place of a passage is counted in.
    max_bytes : int
        The largest file that is read.
    markup : {"markdown", "rst", "text"}
        How headings of a text are written.
    front_matter : bool
        Whether a text may begin with YAML front matter.
    """

    name: str
    endings: frozenset[str]
    module: str = ""
    libraries: tuple[str, ...] = ()
    unit: Literal["line", "page", "cell", ""] = "line"
    max_bytes: int = MAX_TEXT_BYTES
    markup: Markup = "text"
    front_matter: bool = False

    @property
    def missing(self) -> str | None:
        """The first library that is not installed, or None."""
        return next((library for library in self.libraries if not _is_installed(library)), None)


FORMATS = (
    Format("Markdown", frozenset({".md", ".markdown", ".mdx"}), markup="markdown", front_matter=True),
    Format("text", frozenset({".txt", ".text"}), markup="markdown"),
    Format("reStructuredText", frozenset({".rst"}), markup="rst"),
    Format(
        "HTML", frozenset({".html", ".htm", ".xhtml", ".xht", ".shtml"}), "html", ("selectolax",), "", MAX_HTML_BYTES
    ),
    Format("PDF", frozenset({".pdf"}), "pdf", ("pypdfium2",), "page", MAX_FILE_BYTES),
    Format(
        "DOCX",
        frozenset({".docx", ".docm", ".dotx"}),
        "docx",
        ("mammoth", "defusedxml", "selectolax"),
        "",
        MAX_FILE_BYTES,
    ),
    Format("EPUB", frozenset({".epub"}), "epub", ("defusedxml", "selectolax"), "", MAX_FILE_BYTES),
    Format("notebook", frozenset({".ipynb"}), "notebook", unit="cell"),
)
PLAIN = Format("plain text", frozenset())
"""A text of any other ending, where the user chose the file or gave a pattern."""

_BY_ENDING = {ending: each for each in FORMATS for ending in each.endings}

_WAYS_OUT: Mapping[str, tuple[str, ...]] = {
    "save it as .docx or PDF": (
        ".doc", ".dot", ".odt", ".ott", ".fodt", ".sxw", ".rtf", ".pages", ".wpd", ".wps", ".hwp", ".hwpx", ".abw",
    ),
    "export it as PDF": (
        ".pptx", ".pptm", ".ppsx", ".ppt", ".pps", ".odp", ".key", ".djvu", ".djv", ".xps", ".oxps", ".ps", ".eps",
        ".pub", ".vsd", ".vsdx", ".odg", ".one",
    ),
    "save each sheet as CSV": (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers", ".fods"),
    "convert it to EPUB": (".mobi", ".azw", ".azw3", ".kf8", ".fb2", ".lit", ".chm"),
    "save it as HTML": (".mht", ".mhtml", ".webarchive", ".maff"),
    "save its text as .txt or Markdown": (".eml", ".msg", ".mbox", ".pst", ".ost"),
    "unpack it": (
        ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".zst", ".lz4", ".lzma", ".br", ".z", ".zip", ".tar", ".7z", ".rar",
        ".jar", ".whl", ".iso", ".dmg",
    ),
    "markup without a reading order: convert it to Markdown or JSON lines": (
        ".xml", ".svg", ".xsl", ".xslt", ".xsd", ".rss", ".atom", ".opml", ".kml", ".gpx", ".plist", ".rdf", ".owl",
        ".dita", ".docbook", ".tei", ".wsdl", ".xul", ".resx", ".xliff", ".tmx",
    ),
    "convert it to JSON lines, CSV or Parquet": (
        ".feather", ".arrow", ".ipc", ".orc", ".avro", ".pkl", ".pickle", ".npy", ".npz", ".h5", ".hdf5", ".mat",
        ".rdata", ".rds", ".sav", ".dta", ".sqlite", ".sqlite3", ".db", ".duckdb", ".mdb", ".accdb", ".geojson",
        ".json5", ".jsonc", ".topojson", ".har",
    ),
}  # fmt: skip
_WAY_OUT = {ending: way for way, endings in _WAYS_OUT.items() for ending in endings}


def _is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ImportError:
        return False


def find_format(path: Path) -> Format | None:
    """Return the format that the ending of a name stands for, or None if it is not read."""
    return _BY_ENDING.get(path.suffix.lower())


def explain_refusal(path: Path) -> str | None:
    """Return why a file of a known ending is not read and what to do instead; None for other endings."""
    ending = path.suffix.lower()
    return f"{ending} is not read; {_WAY_OUT[ending]}" if ending in _WAY_OUT else None
