"""Undeclared metadata as tokens of one attribute, by which the engine finds equal values.

A record has a token for each key and path that exists, for each value at one, and for each item of a list at one. A
token is a hash of path, role and canonical value: it has one length and contains nothing of the query language. Two
values share one with a probability of 2⁻¹²⁸. An order or a part of a string has no tokens; a script compares the
metadata itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from vecstore.filters.canonical_json import encode_value
from vecstore.filters.key_values import SCALARS, KeyValue, read_value
from vecstore.filters.limits import MAX_PATH
from vecstore.filters.nodes import CompareKey
from vecstore.filters.operators import TEXTS
from vecstore.rows.metadata import NO_EXTRA

WITHOUT_TOKENS = frozenset({"lt", "lte", "gt", "gte"}) | TEXTS
"""Operators that compare more than whole values."""
_EXISTS, _VALUE, _ITEM = "exists", "value", "item"
_BYTES = 16
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def list_tokens(extra: str) -> list[str]:
    """Return the tokens of a record's undeclared metadata, a JSON object as text."""
    return [] if extra == NO_EXTRA else list(dict.fromkeys(_walk((), json.loads(extra))))


def _walk(path: tuple[str, ...], members: dict[str, Any]) -> Iterator[str]:
    for key, found in members.items():
        if found is None:
            continue
        here = (*path, key)
        yield _hash(here, _EXISTS)
        if isinstance(found, dict):
            if len(here) < MAX_PATH:
                yield from _walk(here, found)
            continue
        value = read_value(found)
        yield _hash(here, _VALUE, value)
        if value.kind == "list":
            yield from (_hash(here, _ITEM, each) for each in value.value if each.kind in SCALARS)


def list_operand_tokens(condition: CompareKey) -> list[str]:
    """Return the tokens that a condition looks for: any of them, or all for ``contains_all``."""
    path, operand = condition.path, condition.value
    match condition.op:
        case "exists":
            return [_hash(path, _EXISTS)]
        case "eq":
            return [_hash(path, _VALUE, operand)]
        case "in":
            return [_hash(path, _VALUE, each) for each in operand]
    return [_hash(path, _ITEM, each) for each in operand]


def _hash(path: tuple[str, ...], role: str, value: KeyValue | None = None) -> str:
    parts = [*path, role] if value is None else [*path, role, encode_value(value)]
    return blake2b(_encode(parts).encode(), digest_size=_BYTES).hexdigest()
