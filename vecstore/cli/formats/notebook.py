"""Jupyter notebooks: the sources of Markdown, code and raw cells, without outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..blocks import Block, read_blocks
from .content import check_binary, check_text, decode_text, read_bytes
from .parts import BrokenDocument, DocumentPart, DocumentText, clean_text

_NO_NOTEBOOK = "damaged: not a notebook"


def read(path: Path, limit: int, encoding: str | None) -> DocumentText:
    """Read a notebook of format 3 or 4."""
    data = read_bytes(path, limit)
    check_text(data)
    text = decode_text(data, encoding)
    check_binary(text)
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raise BrokenDocument(_NO_NOTEBOOK) from error
    cells = list(_list_cells(notebook))
    title = _find_metadata(notebook).get("title")
    outputs = sum(len(cell["outputs"]) for cell in cells if isinstance(cell.get("outputs"), list))
    part = _join_cells(cells)
    return DocumentText([part], title if isinstance(title, str) else None, outputs=outputs)


def _list_cells(notebook: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(notebook, dict):
        raise BrokenDocument(_NO_NOTEBOOK)
    sheets = notebook.get("worksheets", [notebook])
    if not isinstance(sheets, list) or not all(isinstance(sheet, dict) for sheet in sheets):
        raise BrokenDocument(_NO_NOTEBOOK)
    for sheet in sheets:
        cells = sheet.get("cells")
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise BrokenDocument(_NO_NOTEBOOK)
        yield from cells


def _find_metadata(notebook: dict[str, Any]) -> dict[str, Any]:
    metadata = notebook.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _join_cells(cells: list[dict[str, Any]]) -> DocumentPart:
    pieces: list[str] = []
    blocks: list[Block] = []
    numbers: list[tuple[int, int]] = []
    place, line = 0, 1
    for number, cell in enumerate(cells, 1):
        text = _read_source(cell)
        if not text.strip():
            continue
        numbers.append((line, number))
        blocks += (
            replace(block, start=place + block.start, end=place + block.end) for block in _list_blocks(cell, text)
        )
        pieces.append(f"{text}\n\n")
        place += len(pieces[-1])
        line += pieces[-1].count("\n")
    return DocumentPart("".join(pieces), blocks, numbers)


def _read_source(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))  # format 3 calls code "input"
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise BrokenDocument(_NO_NOTEBOOK)
    return clean_text(source).rstrip()


def _list_blocks(cell: dict[str, Any], text: str) -> Iterator[Block]:
    kind, level = cell.get("cell_type"), cell.get("level")
    if kind == "markdown":
        yield from read_blocks(text + "\n")
    elif kind == "heading" and isinstance(level, int):
        yield Block(0, len(text), max(1, min(level, 6)), " ".join(text.split()))
    else:
        yield Block(0, len(text))
