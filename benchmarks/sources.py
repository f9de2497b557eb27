"""Sources of a corpus: the Debian packages beside the repository, given files, or a generator."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .corpus import Corpus, Vectors, normalize

ROWS = 63_666
DIM = 384
SEED = 20_240_607
_FOLDER = Path(__file__).parents[2] / "shared" / "bench"
PACKAGES = (_FOLDER / "debian-packages.minilm-384.f16.npy", _FOLDER / "debian-packages.jsonl.gz")

_FIELDS = ("section", "size")
_CLUSTERS = 600
_LATENT = 48


def has_packages() -> bool:
    """Return whether the real data are beside the repository."""
    return all(path.exists() for path in PACKAGES)


def read_files(vectors: Path, rows: Path, limit: int | None = None) -> Corpus:
    """Read a ``.npy`` matrix and, row by row, JSON lines with ``id`` and ``text``.

    Rows without ``section`` and ``size`` get drawn ones, so that the filters always have their selectivity.
    """
    matrix = np.load(vectors, mmap_mode="r")
    parsed = [json.loads(line) for line in _lines(rows)]
    if len(parsed) != len(matrix):
        raise SystemExit(f"{vectors.name} has {len(matrix):,} rows, {rows.name} has {len(parsed):,}.")
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(parsed))[:limit])
    kept = [parsed[place] for place in chosen]
    has_fields = all(isinstance(row.get("section"), str) and isinstance(row.get("size"), int) for row in kept)
    metadata = [{name: row[name] for name in _FIELDS} for row in kept] if has_fields else draw_metadata(len(kept))
    return Corpus(
        [str(row.get("id", place)) for place, row in zip(chosen, kept, strict=True)],
        normalize(matrix[chosen]),
        [_text(row) for row in kept],
        metadata,
    )


def read_texts(rows: Path) -> list[str]:
    """Read the texts of JSON lines alone."""
    return [_text(json.loads(line)) for line in _lines(rows)]


def generate_corpus(rows: int = ROWS, dim: int = DIM) -> Corpus:
    """Draw clustered unit vectors of low inner dimension, with texts and the two fields."""
    ids = [f"row-{number:06d}" for number in range(rows)]
    texts = [f"Row {number} of the generated corpus, with a text as long as usual." for number in range(rows)]
    return Corpus(ids, draw_vectors(rows, dim), texts, draw_metadata(rows))


def draw_vectors(rows: int, dim: int) -> Vectors:
    """Draw vectors around cluster centres in a space of few dimensions, turned into one of many."""
    generator = np.random.default_rng(SEED)
    centres = generator.standard_normal((_CLUSTERS, _LATENT), np.float32)
    latent = centres[generator.integers(_CLUSTERS, size=rows)]
    latent += np.float32(0.6) * generator.standard_normal(latent.shape, np.float32)
    vectors = latent @ generator.standard_normal((_LATENT, dim), np.float32)
    vectors += np.float32(0.5) * generator.standard_normal(vectors.shape, np.float32)
    return normalize(vectors)


def draw_metadata(rows: int) -> list[dict[str, Any]]:
    """Draw the two fields: 1.7 % are games, 4.6 % are larger than 20,000."""
    generator = np.random.default_rng(SEED + 1)
    games, large = generator.random(rows) < 0.0174, generator.random(rows) < 0.0458
    sizes = generator.integers(1, 20_001, size=rows) + 20_000 * large
    others = generator.integers(50, size=rows)
    return [
        {"section": "games" if game else f"section-{other}", "size": int(size)}
        for game, other, size in zip(games, others, sizes, strict=True)
    ]


def _lines(path: Path) -> list[str]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return list(file)
    return path.read_text("utf-8").splitlines()


def _text(row: Mapping[str, Any]) -> str:
    return str(row.get("text", ""))
