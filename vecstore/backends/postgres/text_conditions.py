"""Conditions on parts of strings, by functions in which no character is a sign, as some are in patterns of LIKE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column

TEXT_CONDITIONS: Mapping[str, Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[bool]]] = (
    MappingProxyType(
        {
            "starts_with": func.starts_with,
            "contains_text": lambda column, text: func.strpos(column, text) > literal_column("0"),
        }
    )
)
"""By operator, from a column with a bytewise collation and the text that is looked for."""
