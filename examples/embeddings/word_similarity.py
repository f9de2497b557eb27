"""Similarity of words and analogies: WordSim-353, SimLex-999 and Google's analogies, from the test data of gensim.

The baseline of similarity is common letters; that of an analogy "a is to b as c is to …" is the word nearest to c,
which ignores a and b. Answers come from the words of the questions that are asked here, so shares are compared with
nothing else.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from examples.embeddings.checks import Check, run_example
from examples.embeddings.package_data import read_gensim, read_judged_pairs
from vecstore.embedders import Embedder, Hashing, UniversalSentenceEncoderEmbedder
from vecstore.evaluation import correlate, solve_analogies

SIMILARITIES = (("WordSim-353", "wordsim353.tsv", 0.65), ("SimLex-999", "simlex999.txt", 0.5))
SYNTAX = 0.7


def score_pairs(embedder: Embedder[str], first: list[str], second: list[str]) -> NDArray[np.float32]:
    """Return the cosine of each pair."""
    return np.asarray((embedder.embed_documents(first) * embedder.embed_documents(second)).sum(axis=1), np.float32)


def measure() -> list[Check]:
    """Compare with what people said, and answer the analogies of grammar."""
    use = UniversalSentenceEncoderEmbedder()
    letters = Hashing(4_096, analyzer="char", ngrams=(1, 3))
    checks = []
    for name, file, least in SIMILARITIES:
        first, second, judged = read_judged_pairs(file)
        figure, _ = correlate(
            score_pairs(use, first, second), judged, beside=score_pairs(letters, first, second),
            against="common letters",
        )  # fmt: skip
        checks.append(Check(replace(figure, name=f"Spearman, {name}"), least))
    questions = read_questions()
    words = sorted({word for asked in questions.values() for question in asked for word in question})
    found = solve_analogies(words, use.embed_documents(words), questions)
    for figure in found.figures:
        print(f"{figure.name}: {figure.value:.3f} ({figure.against}: {figure.baseline:.3f}; n = {figure.n:,})")
    print(f"{found.words:,} words to choose from")
    return [*checks, Check(replace(found.figures[0], name="analogies of grammar"), SYNTAX)]


def read_questions() -> dict[str, list[tuple[str, str, str, str]]]:
    """Return the sections about grammar, without those about countries and cities, whose names are rare."""
    questions: dict[str, list[tuple[str, str, str, str]]] = {}
    section = ""
    for line in read_gensim("questions-words.txt").lower().splitlines():
        if line.startswith(":"):
            section = line[1:].strip()
        elif section.startswith("gram") and line:
            a, b, c, d = line.split()
            questions.setdefault(section, []).append((a, b, c, d))
    return questions


if __name__ == "__main__":
    sys.exit(run_example(measure))
