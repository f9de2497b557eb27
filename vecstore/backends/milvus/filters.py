"""A bound filter as an expression of Milvus: pure.

Each comparison stands beside the flag of its field, so that it is true or false for every record, and ``not`` is the
exact complement. Values become literals of a checked type with our own escapes; names are those of columns, which the
schema has checked.

Some filters have no expression: those on undeclared metadata, on fields that the collection does not hold, on a part of
a string, and long ones. The caller answers them without Milvus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from vecstore.filters.nodes import And, Compare, CompareKey, Filter, Not, Or

from .fields import ID, STAMP, CollectionLayout, name_presence, name_value

EVERYTHING = ""
"""The expression that excludes no record."""
NOTHING = f"({STAMP} < 0)"
MAX_BYTES = 64_000
"""Of an expression. The server reads a longer one slowly, and the caller has another way."""
_TRUE, _FALSE = True, False
_FIRST_SURROGATE, _AFTER_SURROGATES, _LAST = 0xD800, 0xE000, 0x10FFFF
_SPACE, _DELETE = 0x20, 0x7F
_SIGNS: Mapping[str, str] = MappingProxyType({"lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "eq": "=="})
_NAMED: Mapping[str, str] = MappingProxyType({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})

Part = str | bool
"""An expression in parentheses, or what is the same for every record."""


class _NoWords(Exception):
    """Milvus cannot say it, or we are not sure that it says it exactly."""


def compile_filter(condition: Filter | None, layout: CollectionLayout) -> str | None:
    """Return a filter's expression, `EVERYTHING` if it excludes nothing; None if Milvus has no exact words for it."""
    if condition is None:
        return EVERYTHING
    try:
        found = _compile(condition, layout)
    except _NoWords:
        return None
    if isinstance(found, bool):
        return EVERYTHING if found else NOTHING
    return found if len(found.encode()) <= MAX_BYTES else None


def _compile(condition: Filter, layout: CollectionLayout) -> Part:
    match condition:
        case Compare(name, op, value):
            return _compare(name, op, value, layout)
        case CompareKey():
            raise _NoWords
        case Not(item):
            part = _compile(item, layout)
            return not part if isinstance(part, bool) else f"(not {part})"
        case And(items):
            return _join((_compile(item, layout) for item in items), "and", neutral=_TRUE)
        case Or(items):
            return _join((_compile(item, layout) for item in items), "or", neutral=_FALSE)
    raise TypeError(f"not a bound filter: {type(condition).__name__}")


def _join(parts: Iterable[Part], word: str, *, neutral: bool) -> Part:
    """Join parts; those that are the same for every record are left out, or decide alone."""
    texts = list[str]()
    for each in parts:
        if isinstance(each, str):
            texts.append(each)
        elif each is not neutral:
            return each
    if not texts:
        return neutral
    return texts[0] if len(texts) == 1 else f"({f' {word} '.join(texts)})"


def _compare(name: str, op: str, value: Any, layout: CollectionLayout) -> Part:
    if name == ID:
        return _TRUE if op == "exists" else _write_id(op, value)
    if name not in layout.held:
        raise _NoWords
    if op == "exists":
        return f"({name_presence(name)} == true)"
    if value == ():
        return _FALSE
    write = _WRITERS[layout.held[name].kind].get(op)
    if write is None:
        raise _NoWords
    return f"({name_presence(name)} == true and {write(name_value(name), op, value)})"


def _write_id(op: str, value: Any) -> Part:
    if value == ():
        return _FALSE
    return f"({_write_list(ID, op, value)})" if op == "in" else f"({_write_order(ID, op, value)})"


def _write_order(column: str, op: str, value: Any) -> str:
    return f"{column} {_SIGNS[op]} {write_literal(value)}"


def _write_list(column: str, op: str, values: tuple[Any, ...]) -> str:
    return f"{column} in [{', '.join(map(write_literal, dict.fromkeys(values)))}]"


def _write_bools(column: str, op: str, values: tuple[bool, ...]) -> str:
    return f"({' or '.join(f'{column} == {write_literal(each)}' for each in sorted(set(values)))})"


def _write_prefix(column: str, op: str, value: str) -> str:
    """Return the strings between a prefix and the first one after all that begin with it, in the order of bytes.

    The order of UTF-8 is that of code points.
    """
    above = _find_next(value)
    below = "" if above is None else f" and {column} < {write_literal(above)}"
    return f"{column} >= {write_literal(value)}{below}"


def _find_next(prefix: str) -> str | None:
    """Return the smallest string above all that begin with the prefix; None if there is none."""
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return None
    point = ord(kept[-1]) + 1
    return kept[:-1] + chr(_AFTER_SURROGATES if point == _FIRST_SURROGATE else point)


def _write_elements(column: str, op: str, values: tuple[str, ...]) -> str:
    word = {"contains_any": "array_contains_any", "contains_all": "array_contains_all"}[op]
    return f"{word}({column}, [{', '.join(map(write_literal, dict.fromkeys(values)))}])"


Writer = Callable[[str, str, Any], str]
_NUMBERS: Mapping[str, Writer] = {**dict.fromkeys(_SIGNS, _write_order), "in": _write_list}
_WRITERS: Mapping[str, Mapping[str, Writer]] = MappingProxyType(
    {
        "keyword": {"eq": _write_order, "in": _write_list, "starts_with": _write_prefix},
        "keywords": {"contains_any": _write_elements, "contains_all": _write_elements},
        "int": _NUMBERS,
        "datetime": _NUMBERS,
        "float": _NUMBERS,
        "bool": {"eq": _write_order, "in": _write_bools},
    }
)
"""What each kind of field can be asked in Milvus, by operator."""


def write_literal(value: str | float | bool) -> str:  # noqa: FBT001 - a value of a filter
    """Return a value as a literal of Milvus' expressions."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{"".join(map(_escape, value))}"'
    return repr(value)


def _escape(character: str) -> str:
    named = _NAMED.get(character)
    if named is not None:
        return named
    point = ord(character)
    return f"\\u{point:04x}" if point < _SPACE or point == _DELETE else character
