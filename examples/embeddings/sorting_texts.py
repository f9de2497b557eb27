"""Classification and clustering: which module of the standard library a description comes from.

Names are not embedded, only the first paragraph of each docstring. A logistic regression on the vectors is tested on
texts that it did not see; clusters know no labels at all.
"""

from __future__ import annotations

import sys

from examples.embeddings.checks import Check, run_example
from examples.python_docs import read_standard_library
from vecstore.embedders import WordLlamaEmbedder
from vecstore.evaluation import Figure, find_clusters, measure_neighbours, probe_labels

PACKAGES = ("asyncio", "ctypes", "email", "http", "logging", "multiprocessing", "tkinter", "turtle", "unittest", "xml")
MOST = 120


def read_texts() -> tuple[list[str], list[str]]:
    """Return descriptions, none twice, and their packages."""
    texts: list[str] = []
    labels: list[str] = []
    for entry in read_standard_library():
        package = entry.module.partition(".")[0]
        if package in PACKAGES and labels.count(package) < MOST and entry.summary not in texts:
            texts.append(entry.summary)
            labels.append(package)
    return texts, labels


def measure() -> list[Check]:
    """Embed the descriptions and sort them with and without labels."""
    texts, labels = read_texts()
    vectors = WordLlamaEmbedder().embed_documents(texts)
    (accuracy, f1), _ = probe_labels(vectors, labels)
    precision, nearest = measure_neighbours(vectors, labels)
    clusters = find_clusters(vectors, labels, k=len(set(labels)))
    for figure in (accuracy, f1, precision, nearest, *clusters.figures):
        print(f"{figure.name}: {figure.value:.3f} ({figure.against}: {figure.baseline:.3f})")
    nmi: Figure = next(each for each in clusters.figures if each.name == "NMI")
    return [Check(accuracy, 0.6), Check(precision, 0.4), Check(nmi, 0.3)]


if __name__ == "__main__":
    sys.exit(run_example(measure))
