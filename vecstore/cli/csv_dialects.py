"""The dialect of a CSV file. Its header line decides, because the standard library's sniffer mistakes texts for data.

The separator is the one of the file's ending if the id column then has its name, otherwise the first one under which it
has, otherwise the one that gives most columns. Excel's line ``sep=;`` is obeyed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from types import MappingProxyType

SEPARATORS: Mapping[str, str] = MappingProxyType({",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"})
_EXCEL = re.compile(r"\"?sep=(.)\"?\r?\n?", re.IGNORECASE | re.DOTALL)


def read_separator_line(line: str) -> str | None:
    """Return the separator that the line ``sep=;`` in front of a header names, or None if it is no such line."""
    found = _EXCEL.fullmatch(line)
    return found[1] if found else None


def choose_separator(header: str, usual: str, id_column: str) -> str:
    """Return the separator of the columns of a header line."""
    columns = {each: _split(header, each) for each in (usual, *SEPARATORS)}
    wanted = id_column.strip().casefold()
    for separator, names in columns.items():
        if wanted in names:
            return separator
    return max(columns, key=lambda each: len(columns[each]))


def _split(header: str, separator: str) -> list[str]:
    try:
        row = next(csv.reader([header], delimiter=separator), [])
    except csv.Error:
        return []
    return [name.strip().casefold() for name in row]
