"""Recommendations: customers and things in one space, by the singular value decomposition of who bought what.

The last purchase of each customer is hidden. A hit is to have it among 20 suggestions; the baseline suggests what is
most popular and was not bought yet.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from examples.embeddings.checks import Check, run_example
from examples.embeddings.purchases import Log, generate_log
from vecstore import Record, Schema, connect
from vecstore.embedders import Lookup
from vecstore.evaluation.figures import average

SUGGESTED = 20
FACTORS = 32


def factorise(log: Log, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a vector for each user and each item, whose products are large where the user is near the item."""
    rows = [user for user, bought in enumerate(log) for _ in bought]
    columns = [item for bought in log for item in bought]
    matrix = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(log), items))
    counts = np.bincount(columns, minlength=items) + 1
    left, strengths, right = svds(matrix.multiply(1 / np.sqrt(counts)).tocsr(), FACTORS, random_state=0)
    return left * strengths, right.T * np.sqrt(counts)[:, None] ** 0.5


def measure() -> list[Check]:
    """Suggest things to every customer and count the hits."""
    log = generate_log()
    seen, hidden = [bought[:-1] for bought in log], [bought[-1] for bought in log]
    items = 1 + max(item for bought in log for item in bought)
    users, things = factorise(seen, items)
    customers = Lookup.from_table(list(range(len(log))), users, name="customers", normalize=False)
    with connect("memory:") as database:
        store = database.create("things", Schema(dim=FACTORS, metric="ip"))
        store.upsert(Record(f"{item}", vector) for item, vector in enumerate(things.astype(np.float32)))
        asked = store.search_many(customers.embed_documents(list(range(len(log)))), k=SUGGESTED + max(map(len, seen)))
        suggested = [suggest([int(hit.id) for hit in hits], known) for hits, known in zip(asked, seen, strict=True)]
    counts = np.bincount([item for bought in seen for item in bought], minlength=items)
    order = [int(item) for item in np.argsort(-counts, kind="stable")]
    popular = [suggest(order, known) for known in seen]
    hits, simple = ([item in some for item, some in zip(hidden, lists, strict=True)] for lists in (suggested, popular))
    figure = average(f"HR@{SUGGESTED}", hits, float(np.mean(simple)), "most popular")
    return [Check(figure, 1.5 * figure.baseline)]


def suggest(ordered: list[int], known: list[int]) -> set[int]:
    """Return the first items that the customer does not have."""
    return set([item for item in ordered if item not in known][:SUGGESTED])


if __name__ == "__main__":
    sys.exit(run_example(measure))
