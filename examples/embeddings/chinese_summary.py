"""A summary of a Chinese article: the sentences that stand for the others, none of which repeats another.

Maximal marginal relevance (Carbonell and Goldstein, 1998) picks sentences near the middle of the article and far from
those that it has. Coverage says how well a summary stands for the article: the mean, over all its sentences, of the
cosine to the nearest sentence of the summary.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from examples.embeddings.checks import Check, run_example
from examples.embeddings.library_article import ARTICLE
from vecstore.embedders import UniversalSentenceEncoderEmbedder
from vecstore.evaluation import Figure

PICKED = 3
RELEVANCE = 0.7
DRAWS = 1_000


def pick_sentences(vectors: NDArray[np.float32], count: int) -> list[int]:
    """Return the rows of a summary, as the article orders them."""
    middle = vectors.mean(axis=0)
    relevance, similarity = vectors @ (middle / np.linalg.norm(middle)), vectors @ vectors.T
    picked: list[int] = []
    while len(picked) < count:
        repeated = similarity[:, picked].max(axis=1) if picked else np.zeros(len(vectors), np.float32)
        gain = RELEVANCE * relevance - (1 - RELEVANCE) * repeated
        gain[picked] = -np.inf
        picked.append(int(gain.argmax()))
    return sorted(picked)


def measure_coverage(vectors: NDArray[np.float32], picked: list[int]) -> float:
    """Return how well these sentences stand for all."""
    return float((vectors @ vectors[picked].T).max(axis=1).mean())


def measure() -> list[Check]:
    """Summarise the article; compare with its first sentences and with random ones."""
    sentences = ARTICLE.split()
    vectors = UniversalSentenceEncoderEmbedder().embed_documents(sentences)
    picked = pick_sentences(vectors, PICKED)
    print("\n".join(sentences[row] for row in picked))
    coverage = measure_coverage(vectors, picked)
    rng = np.random.default_rng(0)
    draws = [measure_coverage(vectors, rng.choice(len(vectors), PICKED, replace=False).tolist()) for _ in range(DRAWS)]
    better = float(np.mean([coverage > each for each in draws]))
    first = measure_coverage(vectors, list(range(PICKED)))
    count = len(sentences)
    return [
        Check(Figure("coverage", coverage, count, first, f"the first {PICKED} sentences"), 0.31),
        Check(Figure("coverage", coverage, count, float(np.mean(draws)), f"{PICKED} random sentences"), 0.31),
        Check(Figure("random summaries that cover less", better, DRAWS, 0.5, "chance"), 0.9),
    ]


if __name__ == "__main__":
    sys.exit(run_example(measure))
