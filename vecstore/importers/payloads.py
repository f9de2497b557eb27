"""Records as mappings, of libraries that keep everything beside the vector in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Payload = Mapping[str, Any]


def take_texts(payloads: Sequence[Payload | None], key: str | None) -> tuple[list[str | None], list[Payload]]:
    """Return the texts under a key, and the payloads without them. A value that is no text stays where it is."""
    texts: list[str | None] = []
    rest: list[Payload] = []
    for payload in payloads:
        values = payload or {}
        text = values.get(key) if key is not None else None
        texts.append(text if isinstance(text, str) else None)
        rest.append({name: value for name, value in values.items() if name != key} if texts[-1] is not None else values)
    return texts, rest


def lift(payloads: Sequence[Payload], key: str | None) -> list[Payload]:
    """Put the keys of an object under a key in its place; a key that is there already stays as it is."""
    return [
        {**inner, **{name: value for name, value in payload.items() if name != key}}
        if key is not None and isinstance(inner := payload.get(key), Mapping)
        else payload
        for payload in payloads
    ]
