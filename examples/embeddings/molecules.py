"""Molecules: fingerprints find substances that act on the same protein, and Tanimoto puts them in order.

A hundred substances that are active at one protein lie among thousands of a screening collection; both lists are part
of rdkit. The baseline compares the letters of the formulas. A store knows no Tanimoto coefficient, so a search asks for
fifty by cosine, and `MorganEmbedder.rank` puts these in order.
"""

from __future__ import annotations

import csv
import sys

import numpy as np

from examples.embeddings.checks import Check, run_example
from examples.embeddings.package_data import find_data
from vecstore import Database, Hit, Record, Schema, connect
from vecstore.embedders import Embedder, MorganEmbedder, Tfidf
from vecstore.evaluation import Figure

COLLECTION = 5_000
CANDIDATES = 50
NEAR = 10


def read_molecules() -> tuple[list[str], list[str]]:
    """Return, in SMILES, the active substances and those that nothing is said about."""
    actives = find_data("rdkit", "Contrib", "fraggle", "data", "ChEMBL_11265_actives.smi").read_text("utf-8")
    screened = find_data("rdkit", "Data", "Pains", "test_data", "wehi_mols.csv").read_text("utf-8")
    known = [line.split()[0] for line in actives.splitlines()]
    return known, [row[0] for row in csv.reader(screened.splitlines()) if row][:COLLECTION]


def search(database: Database, embedder: Embedder[str], known: list[str], others: list[str]) -> list[list[Hit]]:
    """Return the molecules near each active one, without itself. The active ones have the first numbers as ids."""
    store = database.create(embedder.config["kind"], Schema(dim=embedder.dim), embedder=embedder)
    store.upsert(Record(f"{place}", text=smiles) for place, smiles in enumerate(known + others))
    found = store.search_many(known, k=CANDIDATES + 1, include={"text"})
    return [[hit for hit in hits if hit.id != f"{place}"] for place, hits in enumerate(found)]


def count_active(found: list[list[Hit]], actives: int) -> float:
    """Return the share of active substances among the first of each search."""
    return float(np.mean([int(hit.id) < actives for hits in found for hit in hits[:NEAR]]))


def count_nearest(found: list[list[Hit]], bits: np.ndarray) -> float:
    """Return the share of the first that are among the nearest by Tanimoto, which compares a molecule with all."""
    both = bits[: len(found)] @ bits.T
    sizes = bits.sum(axis=1)
    scores = both / (sizes[: len(found), None] + sizes - both)
    np.fill_diagonal(scores, -1)
    least = np.sort(scores, axis=1)[:, -NEAR]
    return float(
        np.mean([scores[row, int(hit.id)] >= least[row] for row, hits in enumerate(found) for hit in hits[:NEAR]])
    )


def measure() -> list[Check]:
    """Search with every active substance."""
    known, others = read_molecules()
    morgan = MorganEmbedder()
    letters = Tfidf(analyzer="char", ngrams=(1, 3), lowercase=False, max_terms=4_096).fit(known + others)
    with connect("memory:") as database:
        near = search(database, morgan, known, others)
        by_letters = search(database, letters, known, others)
    ranked = [morgan.rank(smiles, hits) for smiles, hits in zip(known, near, strict=True)]
    print(known[0])
    for hit in ranked[0][:3]:
        print(f"  {hit.score:.2f} {hit.text}")
    bits = (morgan.embed_documents(known + others) > 0).astype(np.float32)
    count = len(known)
    active, by_text = count_active(ranked, count), count_active(by_letters, count)
    nearest, by_cosine = count_nearest(ranked, bits), count_nearest(near, bits)
    return [
        Check(Figure(f"P@{NEAR}, active too", active, count, by_text, "letters of the formula"), 0.8),
        Check(Figure(f"nearest {NEAR} by Tanimoto", nearest, count, by_cosine, "order by cosine"), 0.99),
    ]


if __name__ == "__main__":
    sys.exit(run_example(measure))
