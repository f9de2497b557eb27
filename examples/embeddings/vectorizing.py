"""Vectorisation and embedding: the same documents as counts, weighted counts, latent topics, and learned vectors.

People said of each pair of 50 news articles how similar they are (Lee, Pincombe and Welsh, 2005). The closer the
cosines of a method are to that, the more it knows of what texts mean. The fitted methods learn from 300 other articles.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from examples.embeddings.checks import Check, run_example
from examples.embeddings.package_data import read_gensim
from vecstore.embedders import BagOfWords, Embedder, Tfidf, WordLlamaEmbedder
from vecstore.evaluation import correlate

FLOORS = {"words, yes or no": 0.20, "TF-IDF": 0.22, "LSA": 0.30, "wordllama": 0.50}
TERMS = 4_096


def measure() -> list[Check]:
    """Compare each method with people, and with the method before it."""
    background, articles = read_gensim("lee_background.cor").splitlines(), read_gensim("lee.cor").splitlines()
    upper = np.triu_indices(len(articles), 1)
    people = np.loadtxt(read_gensim("similarities0-1.txt").splitlines())[upper]
    methods: dict[str, Embedder[str]] = {
        "counts of words": BagOfWords(max_terms=TERMS).fit(background),
        "words, yes or no": BagOfWords(binary=True, max_terms=TERMS).fit(background),
        "TF-IDF": Tfidf(sublinear=True, min_texts=2, max_terms=TERMS).fit(background),
        "LSA": Tfidf(svd=50, sublinear=True, min_texts=2).fit(background),
        "wordllama": WordLlamaEmbedder(),
    }
    checks: list[Check] = []
    before, name_before = None, "no relation"
    for name, embedder in methods.items():
        vectors = embedder.embed_documents(articles)
        scores = (vectors @ vectors.T)[upper]
        figure, _ = correlate(scores, people, beside=before, against=name_before)
        print(
            f"{name:20} {embedder.dim:5} dimensions, Spearman {figure.value:.3f} ({figure.low:.3f} – {figure.high:.3f})"
        )
        if name in FLOORS:
            checks.append(Check(replace(figure, name=f"Spearman, {name}"), FLOORS[name]))
        before, name_before = scores, name
    return checks


if __name__ == "__main__":
    sys.exit(run_example(measure))
