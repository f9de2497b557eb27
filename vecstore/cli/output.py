"""The output of commands: one JSON document for machines, tables and lists for people, progress on a terminal."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..hits import Hits
from ..records import Record

_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C, 0x200E, 0x200F}
_LINE_ENDS = {0x2028, 0x2029}
_SHOWN_LINES = 3
_READ_CHARS = 2_000


def console(*, error: bool = False) -> Console:
    """Return a console on stdout or stderr, without colours if that is not a terminal."""
    return Console(stderr=error, highlight=False, markup=False, emoji=False, soft_wrap=False)


def escape_controls(text: str, *, lines: bool = False) -> str:
    """Escape control and direction characters, which a terminal would obey.

    Parameters
    ----------
    text : str
    lines : bool
        Keep line ends and tabs.
    """
    return "".join(
        char if char.isprintable() or char == " " or (lines and char in "\n\t") or _is_harmless(char)
        else char.encode("unicode_escape").decode()
        for char in text
    )  # fmt: skip


def _is_harmless(char: str) -> bool:
    """Say whether a character that Python calls unprintable is a harmless space or joiner."""
    return unicodedata.category(char) == "Zs" or char in "\u200c\u200d"


def say(message: str) -> None:
    """Print a line for people on stdout, without truncation."""
    console().print(Text(message), soft_wrap=True)


def note(message: str) -> None:
    """Print a line for people on stderr."""
    console(error=True).print(Text(message, style="dim"), soft_wrap=True)


_ESCAPES = {
    code: f"\\u{code:04x}" for code in (0x7F, *range(0x80, 0xA0), *range(0xD800, 0xE000), *_BIDI, *_LINE_ENDS)
}  # json escapes characters below 0x20; lone surrogates come from file names that are not UTF-8


def dump_json(value: Any) -> str:
    """Return one line of JSON that is safe to show, and to split into lines."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_convert_plain).translate(_ESCAPES)


def _convert_plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_json(value: Any) -> None:
    """Print one JSON document on one line of stdout, in UTF-8 whatever the locale."""
    line = dump_json(value) + "\n"
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(line)
    else:
        binary.write(line.encode())
        binary.flush()


def record_to_json(record: Record, *, vector: bool) -> dict[str, Any]:
    """Return a record as `add` reads it back."""
    parts = {"id": record.id, "text": record.text, "vector": record.vector if vector else None}
    return {key: value for key, value in parts.items() if value is not None} | {"metadata": dict(record.metadata)}


def hits_to_json(hits: Hits) -> dict[str, Any]:
    """Return an answer as JSON data."""
    return {"hits": hits.to_dicts(), "exact": hits.exact, "complete": hits.complete}


def print_hits(hits: Hits, *, full: bool, first: int = 1) -> None:
    """Print an answer as a ranked list; ``first`` is the rank of the first hit."""
    out = console()
    for rank, hit in enumerate(hits, first):
        head = Text.assemble(
            (f"{rank:>2} ", "dim"), (f"{hit.score:.3f}", "green"), "  ", (escape_controls(hit.id), "bold")
        )
        out.print(head, overflow="fold")
        # Values that the id begins with are not repeated, nor the root that all passages of a directory share.
        metadata = hit.metadata or {}
        passage = _repeats(hit.id, metadata.get("source"))
        told = {
            key: value
            for key, value in metadata.items()
            if not _repeats(hit.id, value) and not (passage and key == "root")
        }
        if told:
            shown = "  ".join(escape_controls(f"{key}={_format_value(value)}") for key, value in told.items())
            _print_indented(out, shown, "cyan", None if full else 1)
        if hit.text:
            text = hit.text if full else " ".join(hit.text[:_READ_CHARS].split())
            _print_indented(out, escape_controls(text, lines=True), "", None if full else _SHOWN_LINES)


def print_record(record: Record, *, vector: bool) -> None:
    """Print a complete record."""
    out = console()
    out.print(Text(escape_controls(record.id), style="bold"), overflow="fold")
    width = max(map(len, record.metadata), default=0)
    for key, value in record.metadata.items():
        line = Text.assemble(
            "    ", (f"{escape_controls(str(key)):<{width}}", "cyan"), f"  {escape_controls(_format_value(value))}"
        )
        out.print(line, soft_wrap=True)
    if record.text:
        _print_indented(out, escape_controls(record.text, lines=True), "", None)
    if vector:
        out.print(Text(f"    {dump_json(record.vector)}"), soft_wrap=True)


def _repeats(id_: str, value: Any) -> bool:
    return isinstance(value, str) and id_.startswith(value)


def _format_value(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str) else dump_json(value)


def _print_indented(out: Console, text: str, style: str, limit: int | None) -> None:
    """Print a text below a rank, wrapped to the console's width and cut after ``limit`` lines."""
    width = max(20, out.width - 5)
    lines = Text(text.expandtabs(4), style=style).wrap(out, width, overflow="fold")
    shown = list(lines[:limit])
    for line in shown:
        line.rstrip()
    if len(shown) < len(lines):
        shown[-1].truncate(width - 2)
        shown[-1].append(" …")
    for line in shown:
        out.print(Text("    ").append_text(line) if line.plain else line, no_wrap=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
    """Print a table; columns of numbers are right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        numeric = all(isinstance(row[number], int) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else escape_controls(cell)) for cell in row))
    console().print(table)


def print_pairs(title: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    out = console()
    out.print(Text(title, style="bold"))
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        out.print(
            Text.assemble((f"  {escape_controls(name):<{width}}", "dim"), f"  {escape_controls(value)}"), soft_wrap=True
        )
