"""What a digest has to be: worked out a second time, record by record, from what was written."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import fields
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from .sample_records import SCHEMA, make_book

WIDE = Schema(
    dim=3,
    metric="l2",
    index=Flat(),
    vectors="optional",
    fields={
        "word": fields.Keyword(),
        "words": fields.Keywords(),
        "whole": fields.Int(),
        "real": fields.Float(),
        "yes": fields.Bool(),
        "at": fields.DateTime(),
        "told": fields.DateTime(text=True),
    },
)
NARROW = replace(WIDE, dtype="float16")
WHEN = datetime(2024, 2, 29, 23, 59, 59, 1, timezone(timedelta(hours=5, minutes=30)))
ODD: Mapping[str, Any] = {
    "word": "a\u0301 \x7f\u2028\"\\", "words": ["b", "a", "b", ""], "whole": -(2**53), "real": 1, "yes": False,
    "at": WHEN, "told": "2024-01-31T09:30:00+01:00",
    "\U0001f600": [1, 1.0, -0.0, 1e16, 1e-7, 2**63, -(10**40), 0.1 + 0.2, 5e-324, 1.7976931348623157e308],
    "\uffff": {"z": None, "a": {"\U00010000": True, "\uffff": ""}}, "a b": "tab\t line\n nul-free \x01", "At": "é",
    "": [], "missing": None, "id": "x", "text": 0, "vector": [0.5],
}  # fmt: skip
"""Metadata that two implementations easily spell in two ways."""
EXAMPLES: Mapping[str, tuple[Schema, Record]] = MappingProxyType(
    {
        "plain": (SCHEMA, make_book(1)),
        "bare": (WIDE, Record("a", embed=False)),
        "empty text": (WIDE, Record("a", None, "")),
        "odd": (WIDE, Record("\U0001f511 é", [-0.0, 1e-40, 3.4e14], "text\r\n\u2029", ODD)),
        "narrow": (NARROW, Record("k", [0.1, -65504.0, 6e-8], None, {"real": -0.0, "x": -0.0})),
        "narrow and bare": (NARROW, Record("k", None, None, {"at": datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)})),
    }
)
KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "plain": "110054965689ca23aed20088a4d2f3975401fb6f8e0a929ad1276f2754e354ed",
        "bare": "2f494f27432854eeb1d66bc3a34d79cd955b5341889590563fdc778411d59ca2",
        "empty text": "58ac00d49ed789ca4982fe918f9db97523bbd547da58dec184adb4e7b5ad38ed",
        "odd": "e27337e8350ca88357f9e878e3107040f613106878147df3ff218ddbdc65213f",
        "narrow": "88f5f097a85e4477dd0611fb43101c7daa378e54370cdfd7427bc643e2a21147",
        "narrow and bare": "c8f5329e94f2dff3d506df5a60d3a193d59464f3a8ccd6b06a416e2838a46558",
    }
)
"""Their digests, which no version may change: they are compared between programs and stand in exports."""


def spell(value: Any) -> str:
    """Return a value as the digest spells it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case datetime():
            utc = value.astimezone(UTC)
            return f'"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond:06}+00:00"'
        case str():
            short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
            return '"' + "".join(short.get(c, f"\\u{ord(c):04x}" if c < " " else c) for c in value) + '"'
        case list() | tuple():
            return "[" + ",".join(map(spell, value)) + "]"
    keys = sorted(value, key=lambda key: [ord(c) for c in key])
    return "{" + ",".join(f"{spell(key)}:{spell(value[key])}" for key in keys) + "}"


def hash_record(record: Record, dtype: str, version: int = 0) -> int:
    """Return the summand of one record, as it was written."""
    numbers = None if record.vector is None else np.asarray(record.vector, dtype)
    parts = [
        record.id.encode(),
        dtype.encode(),
        None if numbers is None else numbers.astype(numbers.dtype.newbyteorder("<")).tobytes(),
        None if record.text is None else record.text.encode(),
        spell({key: value for key, value in record.metadata.items() if value is not None}).encode(),
        version.to_bytes(8, "little"),
    ]
    content = b"".join(
        b"\0" + bytes(8) if part is None else b"\1" + len(part).to_bytes(8, "little") + part for part in parts
    )
    return int.from_bytes(blake2b(content, digest_size=32).digest(), "big")


def work_out(records: Iterable[Record], dtype: str = "float32", versions: Mapping[str, int] | None = None) -> str:
    """Return the digest of records, which have version 0 unless ``versions`` has another."""
    total = sum(hash_record(record, dtype, (versions or {}).get(record.id, 0)) for record in records)
    return f"{total % 2**256:064x}"


def draw_value(source: random.Random, strings: list[str], depth: int = 0) -> Any:
    """Return a random JSON value."""
    kind = source.randrange(6 if depth > 2 else 8)
    if kind == 6:
        return [draw_value(source, strings, depth + 1) for _ in range(source.randrange(4))]
    if kind == 7:
        return {source.choice(strings): draw_value(source, strings, depth + 1) for _ in range(source.randrange(4))}
    simple: list[Any] = [
        None, source.random() < 0.5, source.randint(-3, 3) * 10 ** source.randrange(30), source.choice(strings),
        source.choice([0.0, -0.0, 1.0, 1e3, 1e22, 1e23, 2.5, -1e-9]),
        source.uniform(-1, 1) * 10.0 ** source.randrange(-300, 300),
    ]  # fmt: skip
    return simple[kind]


def draw_record(source: random.Random, strings: list[str], number: int) -> Record:
    """Return a random record of the wide schema."""
    declared = {
        "word": source.choice(strings),
        "words": source.choices(strings, k=source.randrange(4)),
        "whole": source.randint(-(2**53), 2**53),
        "real": source.choice([1.0, -2.5, 1e300, 0.1]),
        "yes": source.random() < 0.5,
        "at": WHEN + timedelta(microseconds=source.randint(-(10**15), 10**15)),
        "told": (WHEN + timedelta(days=source.randint(-9_999, 9_999))),
    }
    kept = {key: value for key, value in declared.items() if source.random() < 0.6}
    more = {
        key: draw_value(source, strings)
        for key in source.sample(strings, source.randrange(5))
        if key not in WIDE.fields
    }
    vector = [source.uniform(-9, 9) for _ in range(3)] if source.random() < 0.8 else None
    text = source.choice([None, "", source.choice(strings)])
    return Record(f"{source.choice(['r', 'é', '😀'])}{number}", vector, text, {**more, **kept}, embed=False)


def to_shown(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as a store of the wide schema returns them, dates that are text as dates."""
    shown = dict(metadata)
    if isinstance(shown.get("told"), str):
        shown["told"] = datetime.fromisoformat(shown["told"])
    if "real" in shown:
        shown["real"] = float(shown["real"]) + 0.0
    return shown
