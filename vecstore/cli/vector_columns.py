"""Columns that hold vectors under the names that people give them: used where they fit, otherwise the command stops.

Texts are never embedded again without a word where their vectors stand beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .json_values import parse_json
from .text_lines import Unreadable

_WORDS = frozenset({"embedding", "embeddings", "embed", "emb", "embs", "vector", "vectors", "vec", "vecs"})
_NAMES = frozenset({"value", "values", "dense"})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PART = re.compile(r"(.*?)[\W_]*(\d+)\W*", re.DOTALL)
_BRACKET = re.compile(r"\s*(?:[A-Za-z_][\w.]*\(\s*)?[\[({]\s*[-+]?[\d.].*", re.DOTALL)
_NUMBERS = re.compile(r"\s*[-+]?[\d.][\d.eE+-]*([\s,;|]+[-+]?[\d.][\d.eE+-]*){2,}\s*")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")
_FEWEST_PARTS = 3
_MANY_PARTS = 32
"""So many numbered columns of numbers with fractions are a vector whatever they are called."""
_FRACTION = re.compile(r"\s*[-+]?\d*[.]\d+([eE][-+]?\d+)?\s*")
_DIGITS = re.compile(r"\s*[-+]?\d*[.,]?\d+([eE][-+]?\d+)?\s*")
_LONG = 64
"""So many numbers with fractions are a vector whatever their name is."""


_PLAIN_VECTORS = re.compile(r"[0-9eE+\-.,\[\]\s]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class VectorFit:
    """Which vectors a store takes although nobody named their column.

    Attributes
    ----------
    dim : int or None
        Their length; None for a new store, which takes any.
    obstacle : str
        Why none are taken, such as a model that embeds the texts of the store; usually empty.
    optional : bool
        Whether a record may have neither a vector nor a text.
    """

    dim: int | None = None
    obstacle: str = ""
    optional: bool = False

    def find_obstacle(self, width: int) -> str:
        """Return why vectors of a length are not taken, or an empty string."""
        if self.dim is not None and width != self.dim:
            return f"they have {width:,} numbers, and the store has {self.dim:,} dimensions"
        return self.obstacle


@lru_cache(maxsize=10_000)
def is_vector_name(name: str) -> bool:
    """Return whether people call a column of vectors so: ``embedding``, ``textEmbedding``, ``Vec``, ``values``."""
    words = re.findall(r"[a-z]+", _CAMEL.sub(" ", name).lower())
    return bool(_WORDS & set(words)) or name.strip().lower() in _NAMES


def find_scattered(names: Iterable[str]) -> list[str]:
    """Return columns such as ``emb_0``, ``emb_1``, …, each of which holds one number of a vector."""
    groups: dict[str, list[str]] = {}
    for name in names:
        found = _PART.fullmatch(name)
        if found and is_vector_name(found[1]):
            groups.setdefault(found[1], []).append(name)
    return next((group for group in groups.values() if len(group) >= _FEWEST_PARTS), [])


def find_scattered_values(row: Mapping[str, Any]) -> list[str]:
    """Return many columns of a row that are numbered and hold numbers with fractions, whatever they are called."""
    groups: dict[str, list[str]] = {}
    for name, value in row.items():
        found = _PART.fullmatch(name)
        if found and (isinstance(value, float) or (isinstance(value, str) and _FRACTION.fullmatch(value))):
            groups.setdefault(found[1], []).append(name)
    return next((group for group in groups.values() if len(group) >= _MANY_PARTS), [])


def choose_vector_key(row: Mapping[str, Any], declared: Iterable[str]) -> str | None:
    """Return the key of a row under which its vector stands, or None.

    Raises
    ------
    Unreadable
        There are several, or one in a form that has to be converted first.
    """
    candidates = [
        key
        for key, value in row.items()
        if value is not None
        and (is_vector_name(key) or _is_long(value) or _holds_vector(value))
        and key not in declared
    ]
    found = [key for key in candidates if measure_vector(row[key])]
    if len(found) > 1:
        raise Unreadable(
            f"{' and '.join(map(repr, found[:3]))} all look like vectors; name the right one with --vector-column"
        )
    if found:
        return found[0]
    packed = next((key for key in candidates if is_packed_vector(row[key])), None)
    if packed is not None:
        raise Unreadable(
            f"{packed!a} looks like a vector in a form that is not read; write it as a list of numbers such as "
            "[0.1, 0.2], or add --vector-column vector to embed the texts and keep it as metadata"
        )
    return None


def measure_vector(value: Any) -> int:
    """Return how many numbers a list, an array or the JSON text of a list has; 0 for everything else."""
    if isinstance(value, np.ndarray):
        return len(value) if value.ndim == 1 and value.dtype.kind in "iuf" else 0
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = parse_json(value, "it")
        except Unreadable:
            return 0
    if not isinstance(value, list) or len(value) < 2:
        return 0
    return len(value) if all(type(number) in (int, float) for number in value) else 0


def is_packed_vector(value: Any) -> bool:
    """Return whether a value is a vector that has to be converted: bytes, base64, numbers as text, or one inside."""
    if isinstance(value, bytes):
        return True
    if isinstance(value, str):
        return any(pattern.fullmatch(value) for pattern in (_BRACKET, _NUMBERS, _BASE64))
    if isinstance(value, dict):
        return any(measure_vector(each) for each in value.values())
    if not isinstance(value, list) or not value:
        return False
    return any(measure_vector(each) or (isinstance(each, str) and _DIGITS.fullmatch(each)) for each in value)


def _holds_vector(value: Any) -> bool:
    """Return whether an object has a vector under a name that stands for nothing else."""
    return isinstance(value, dict) and any(
        isinstance(key, str) and is_vector_name(key) and key.strip().lower() not in _NAMES and measure_vector(each)
        for key, each in value.items()
    )


def _is_long(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and len(value) >= _LONG and value.dtype.kind == "f"
    return isinstance(value, list) and len(value) >= _LONG and all(type(each) is float for each in value)


def parse_vectors(texts: Sequence[str]) -> NDArray[np.float64] | None:
    """Return the JSON texts of vectors as one matrix, or None if they have to be looked at one by one."""
    stripped = [text.strip() for text in texts]
    for text in stripped:
        # Each text is one list, so that none gives its numbers to another one.
        if not (text[:1] == "[" and text[-1:] == "]" and text.count("[") == text.count("]") == 1):
            return None
    joined = f"[{','.join(stripped)}]"
    if not _PLAIN_VECTORS.fullmatch(joined):  # true, null and texts are no numbers, which an array would not tell
        return None
    try:
        rows = json.loads(joined)
    except ValueError:
        return None
    if not rows[0] or len(set(map(len, rows))) > 1:
        return None
    try:
        return np.array(rows, np.float64)
    except OverflowError:
        return None


def parse_vector(text: str, name: str) -> Any:
    """Return the value of the JSON text of a vector; raise `Unreadable` if it is none."""
    try:
        return parse_json(text, name)
    except Unreadable as error:
        raise Unreadable(f"{error}; write vectors like [0.1, 0.2], with decimal points") from error


def check_numbers(vector: list[Any], name: str) -> None:
    """Refuse a list of anything else than numbers with `Unreadable`."""
    for position, number in enumerate(vector):
        if type(number) not in (int, float):
            kind = {"NoneType": "null", "str": "text", "bool": "true or false"}.get(
                type(number).__name__, "another value"
            )
            raise Unreadable(f"{name!a} is not a list of numbers: at position {position} is {kind}")
