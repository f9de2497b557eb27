"""Vectors of words, learned from the documentation of Python's standard library, and saved without pickle.

Pairs of words that belong together should be nearer to each other than words of different pairs. The baseline judges
by common letters, and knows nothing of use.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import combinations
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray

from examples.embeddings.checks import Check, run_example
from examples.python_docs import read_standard_library
from vecstore import Record, Schema, connect
from vecstore.embedders import Hashing, WordVectors
from vecstore.evaluation import Figure, compute_auc

PAIRS = (
    ("read", "write"), ("list", "tuple"), ("int", "float"), ("true", "false"), ("server", "client"),
    ("thread", "process"), ("key", "value"), ("start", "stop"), ("left", "right"), ("host", "port"),
    ("first", "last"), ("day", "month"), ("file", "directory"), ("class", "instance"), ("encode", "decode"),
    ("request", "response"), ("width", "height"), ("import", "module"), ("lock", "release"), ("signal", "handler"),
)  # fmt: skip
FEWEST = 15
"""Pairs that must be known: another version of Python documents other things."""
ASKED = ("server", "tuple", "directory", "decode", "thread")


def measure() -> list[Check]:
    """Learn the words, look at neighbours, and save and load them."""
    texts = [entry.summary for entry in read_standard_library()] + list(split_topics())
    words = WordVectors(64, pooling="mean", window=5, min_count=5, epochs=10).fit(texts, seed=1)
    with connect("memory:") as database:
        store = database.create("words", Schema(dim=words.dim), embedder=words)
        known = list_words(texts, words)
        store.upsert(Record(word, text=word) for word in known)
        for word in filter(lambda each: words.get_vector(each) is not None, ASKED):
            print(f"{word}: {', '.join(hit.id for hit in store.search(word, k=6) if hit.id != word)}")
        print(f"{len(texts):,} texts, {store.count():,} words")
    with tempfile.TemporaryDirectory() as folder:
        words.save(Path(folder) / "words")
        loaded = WordVectors.load(Path(folder) / "words")
    same = (words.embed_documents(known) == loaded.embed_documents(known)).all(axis=1)
    pairs = [pair for pair in PAIRS if all(words.get_vector(word) is not None for word in pair)]
    if len(pairs) < FEWEST:
        raise SystemExit(f"This Python documents too little: only {len(pairs)} pairs of words are known.")
    listed = [word for pair in pairs for word in pair]
    letters = Hashing(1_024, analyzer="char", ngrams=(1, 3)).embed_documents(listed)
    return [
        Check(
            Figure(
                "AUC, pairs before other words", tell_pairs(words.embed_documents(listed)), len(pairs),
                tell_pairs(letters), "common letters",
            ),
            0.8,
        ),
        Check(Figure("equal bit by bit after loading", float(same.mean()), len(same), 0.0, "none"), 1.0),
    ]  # fmt: skip


def split_topics() -> list[str]:
    """Return the paragraphs of what ``help()`` says about the language."""
    return [part for topic in topics.values() for part in topic.split("\n\n") if any(map(str.isalpha, part))]


def list_words(texts: list[str], words: WordVectors) -> list[str]:
    """Return the plain words of the texts that have a vector."""
    seen = {word for text in texts for word in text.lower().split() if word.isascii() and word.isalpha()}
    return sorted(word for word in seen if words.get_vector(word) is not None)


def tell_pairs(vectors: NDArray[np.float32]) -> float:
    """Return how often the words of a pair are nearer than two words of different pairs. Rows 2i and 2i + 1 pair."""
    rows = list(combinations(range(len(vectors)), 2))
    return compute_auc([float(vectors[a] @ vectors[b]) for a, b in rows], [a % 2 == 0 and b == a + 1 for a, b in rows])


if __name__ == "__main__":
    sys.exit(run_example(measure))
