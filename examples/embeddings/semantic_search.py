"""Semantic search: questions in other words than the documentation has.

The documentation is that of Python's standard library: its modules, classes and functions in a few lines each. The
baseline is a search for words, by TF-IDF on the same texts.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from examples.embeddings.checks import Check, run_example
from examples.embeddings.doc_questions import ANSWERS
from examples.python_docs import read_standard_library
from vecstore import Database, Record, Schema, VectorStore, connect
from vecstore.embedders import Embedder, Tfidf, WordLlamaEmbedder
from vecstore.evaluation import RankingQuality, evaluate_search

TERMS = 4_096
SHOWN = 5


def fill(database: Database, name: str, embedder: Embedder[str], texts: dict[str, str]) -> VectorStore:
    """Put the texts into a store."""
    store = database.create(name, Schema(dim=embedder.dim), embedder=embedder)
    store.upsert(Record(id_, text=text) for id_, text in texts.items())
    return store


def ask(store: VectorStore) -> RankingQuality:
    """Ask all questions; return how near the top the answers are."""
    questions = {question: question for question in ANSWERS}
    quality, _ = evaluate_search(
        store, questions, {question: dict.fromkeys(names, 1) for question, names in ANSWERS.items()}
    )
    return quality


def measure() -> list[Check]:
    """Ask both stores."""
    entries = [entry for entry in read_standard_library() if entry.kind != "method"]
    texts = {entry.name: f"{entry.name}\n{entry.summary}" for entry in entries}
    words = Tfidf(max_terms=TERMS, sublinear=True, on_unknown="skip").fit(texts.values())
    with connect("memory:") as database:
        meaning = fill(database, "meaning", WordLlamaEmbedder(), texts)
        for question in list(ANSWERS)[:SHOWN]:
            print(f"{question}: {', '.join(hit.id for hit in meaning.search(question, k=3))}")
        found, simple = ask(meaning), ask(fill(database, "words", words, texts))
    print(f"{len(texts):,} texts")
    for figure, beside in zip(found.figures, simple.figures, strict=True):
        print(f"{figure.name}: {figure.value:.3f} by meaning, {beside.value:.3f} by words")
    mrr, recall = (replace(found.figures[row], baseline=simple.figures[row].value, against="TF-IDF") for row in (1, 4))
    return [Check(mrr, 0.15), Check(recall, 0.25)]


if __name__ == "__main__":
    sys.exit(run_example(measure))
