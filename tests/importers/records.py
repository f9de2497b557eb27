"""The records that the samples hold: made by arithmetic and the standard library, so that any environment has them."""

from __future__ import annotations

import random
from typing import Any

COUNT, DIM, QUERIES, NEAREST = 150, 8, 100, 10


def make_vectors(count: int, seed: int) -> list[list[float]]:
    draw = random.Random(seed)
    # Such fractions are exact in single and in half precision, also after a journey through text.
    return [[round(draw.gauss(0, 1) * 512) / 512 for _ in range(DIM)] for _ in range(count)]


def make_metadata(number: int) -> dict[str, Any]:
    """Return values of every kind that all of the libraries take."""
    return {
        "lang": ("en", "de", "ja")[number % 3],
        "year": 2000 + number % 25,
        "price": number * 1.25 + 0.5,
        "draft": number % 4 == 0,
        "Page Number": number,
    }


def make_nested(number: int) -> dict[str, Any]:
    """Return values that only libraries with JSON take."""
    return {"tags": ["x", f"y{number % 3}"], "author": {"name": f"Ada {number}", "born": 1815}, "nothing": None}


IDS = [f"doc-{number}" if number % 10 else f"schlüssel {number} \"'%s{{}}" for number in range(COUNT)]
TEXTS = [f"Text {number}: 日本語, line\nend; 'quoted' \\ %s {{}}" for number in range(COUNT)]
VECTORS = make_vectors(COUNT, 7)
QUERY_VECTORS = make_vectors(QUERIES, 11)
