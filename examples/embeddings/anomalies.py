"""Anomalies: what is far from its nearest neighbours in the store does not belong there.

For each digit, a store holds all pictures of it that scikit-learn ships, and 20 of other digits that got in by
mistake. Ranked by the mean distance to the five nearest others, the mistakes come first.
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.datasets import load_digits

from examples.embeddings.checks import Check, run_example
from vecstore import Record, Schema, connect
from vecstore.evaluation import Figure, compute_auc, draw_sample, find_outliers

MISTAKES = 20
NEIGHBOURS = 5


def measure() -> list[Check]:
    """Find the mistakes among each digit; return the mean over the digits."""
    digits = load_digits()
    rng = np.random.default_rng(0)
    found, simple, count = [], [], 0
    with connect("memory:") as database:
        for digit in range(10):
            own, others = np.flatnonzero(digits.target == digit), np.flatnonzero(digits.target != digit)
            rows = np.concatenate([own, rng.choice(others, MISTAKES, replace=False)])
            pixels = digits.data[rows].astype(np.float32)
            wrong = {str(row) for row in rows[len(own) :]}
            store = database.create(f"digit_{digit}", Schema(dim=64, metric="l2"))
            store.upsert(Record(str(row), vector) for row, vector in zip(rows, pixels, strict=True))
            ranked = find_outliers(store, draw_sample(store, len(rows)), NEIGHBOURS)
            found.append(compute_auc(ranked.distances, [id_ in wrong for id_ in ranked.ids]))
            middle = np.linalg.norm(pixels - pixels.mean(axis=0), axis=1)
            simple.append(compute_auc(middle, [str(row) in wrong for row in rows]))
            count += len(rows)
            first = sum(id_ in wrong for id_ in ranked.ids[:MISTAKES])
            print(f"{digit}: {first:2} of the {MISTAKES} farthest are other digits; AUC {found[-1]:.3f}")
    auc = Figure(
        "AUC, distance to neighbours", float(np.mean(found)), count, float(np.mean(simple)), "distance to the mean"
    )
    return [Check(auc, 0.95)]


if __name__ == "__main__":
    sys.exit(run_example(measure))
