"""A log of purchases, generated: customers go from one thing to another that is often bought with it.

Things lie at random places of a plane, and customers step to things nearby, or to something popular. Neither users nor
things have factors or classes, so what a factorisation finds was not put in by the same formula.
"""

from __future__ import annotations

import numpy as np

Log = list[list[int]]


def generate_log(users: int = 1_500, items: int = 500, seed: int = 0) -> Log:
    """Return for each user the items bought, in order; no item twice."""
    rng = np.random.default_rng(seed)
    places = rng.random((items, 2))
    popularity = rng.permutation(1 / np.arange(1, items + 1) ** 0.8)
    popularity /= popularity.sum()
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    log = []
    for _ in range(users):
        bought = [int(rng.choice(items, p=popularity))]
        while len(bought) < 8 + rng.geometric(0.2):
            weights = popularity.copy()
            if rng.random() < 0.7:
                weights = np.exp(-distances[bought[rng.integers(len(bought))]] / 0.04) * popularity**0.5
            weights[bought] = 0
            bought.append(int(rng.choice(items, p=weights / weights.sum())))
        log.append(bought)
    return log
