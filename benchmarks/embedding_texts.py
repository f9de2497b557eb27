"""Texts for the benchmark of embeddings: one line each, and pairs that people judged."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from . import sources

Pairs = Sequence[tuple[str, str, float]]

_WORDS = (4, 14)
"""The fewest and the most words of a line that is made."""


def read_lines(limit: int) -> tuple[str, list[str]]:
    """Return the name of the texts and so many of them: descriptions of packages, or lines cut from news.

    Raises
    ------
    SystemExit
        Neither is there.
    """
    if sources.has_packages():
        return "descriptions of Debian packages", sources.read_texts(sources.PACKAGES[1])[:limit]
    words = _find_gensim("lee_background.cor").read_text("utf-8").split()
    rng = np.random.default_rng(sources.SEED)
    starts = rng.integers(len(words) - _WORDS[1], size=limit)
    ends = starts + rng.integers(_WORDS[0], _WORDS[1] + 1, size=limit)
    return "lines cut from news", [" ".join(words[start:end]) for start, end in zip(starts, ends, strict=True)]


def read_judgements() -> dict[str, Pairs]:
    """Return pairs of words and of articles with what people said of their likeness, by the name of their source."""
    found: dict[str, Pairs] = {}
    for name, file in (("WordSim-353", "wordsim353.tsv"), ("SimLex-999", "simlex999.txt")):
        lines = [line.split("\t") for line in _find_gensim(file).read_text("utf-8").splitlines() if line]
        found[name] = [(line[0], line[1], float(line[2])) for line in lines if line[0][0] != "#"]
    articles = _find_gensim("lee.cor").read_text("latin-1").splitlines()
    scores = np.loadtxt(_find_gensim("similarities0-1.txt"))
    upper = zip(*np.triu_indices(len(articles), 1), strict=True)
    found["Lee"] = [(articles[one], articles[other], float(scores[one, other])) for one, other in upper]
    return found


def _find_gensim(name: str) -> Path:
    spec = find_spec("gensim")
    if spec is None or spec.origin is None:
        raise SystemExit("Install gensim, whose test data have the judgements: pip install gensim.")
    return Path(spec.origin).parent / "test" / "test_data" / name
