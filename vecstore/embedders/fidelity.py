"""Fidelity: how much of a model is left in another form of it, measured on texts that matter to its user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import InvalidArgument
from ..evaluation.similarity import compute_spearman
from .base import Embedder
from .vector_checks import Float32Array

MIN_FIDELITY = 0.99
"""Below this an export is refused: searches would no longer find what they found."""
FEWEST_TEXTS = 12
"""Ten neighbours and the text itself, and one that is none."""
_NEIGHBOURS = 10

SAMPLE_TEXTS = (
    "water",
    "How do I reset a forgotten password?",
    "The cat sat on the windowsill and watched the rain.",
    "A kitten sleeps on the rug in front of the fire.",
    "Quarterly revenue rose by 12.5 % to $3,400,000, well above forecast.",
    "The stock market crashed today, and banks lost a tenth of their value.",
    "def area(radius): return 3.14159 * radius ** 2",
    "A function takes arguments and returns a value.",
    "Rice needs a lot of water and warm nights.",
    "Wheat grows in cooler and drier places than rice.",
    "The library opens at nine and closes at six.",
    "Return borrowed books within four weeks.",
    "Heavy rain is expected in the mountains, with snow above 2,000 metres.",
    "The train to the coast was cancelled because of the storm.",
    "Mix flour, eggs and milk, and let the batter rest for an hour.",
    "Bake the bread until its crust is brown.",
    "The patient has a fever and a dry cough.",
    "Take one tablet twice a day after meals.",
    "The court dismissed the appeal as out of time.",
    "The tenant may end the contract with three months' notice.",
    "Stars form where clouds of gas collapse under their own weight.",
    "The probe will reach Jupiter after a flight of six years.",
    "She scored twice in the last ten minutes of the match.",
    "The orchestra played the third symphony without a conductor.",
    "Copy the files to another directory and compare them line by line.",
    "The index is rebuilt while searches go on.",
    "Grüße aus Köln",
    "Le chat dort sur le canapé.",
    "El mercado cierra a las ocho.",
    "привет из Москвы",
    "東京より愛をこめて",
    "比较两个文件的不同",
)
"""What is compared where the user gives no texts."""


@dataclass(frozen=True)
class Fidelity:
    """What is left of a model.

    Parameters
    ----------
    texts : int
        How many were compared.
    cosine_mean, cosine_min : float
        Between the two vectors of a text.
    overlap : float
        The part of each text's ten nearest texts that stays the same.
    rank_correlation : float
        Spearman's, between the similarities of all pairs of texts before and after.
    pairs : int
        How many pairs with a judgement were given.
    sts_before, sts_after : float or None
        Spearman's correlation of the models' similarities with those judgements.
    """

    texts: int
    cosine_mean: float
    cosine_min: float
    overlap: float
    rank_correlation: float
    pairs: int = 0
    sts_before: float | None = None
    sts_after: float | None = None

    @property
    def is_enough(self) -> bool:
        """Whether the mean cosine, and the correlation with judgements, are at least 0.99 of what they were."""
        return self.cosine_mean >= MIN_FIDELITY and self._keeps_judgements

    @property
    def _keeps_judgements(self) -> bool:
        if self.sts_before is None or self.sts_after is None:
            return True
        # A correlation may be negative, so what is lost is compared, and not the quotient.
        return self.sts_before - self.sts_after <= (1 - MIN_FIDELITY) * abs(self.sts_before)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON data."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


def measure_fidelity(
    before: Embedder,
    after: Embedder,
    texts: Sequence[str] = SAMPLE_TEXTS,
    pairs: Sequence[tuple[str, str, float]] = (),
) -> Fidelity:
    """Compare two forms of one model.

    Parameters
    ----------
    before, after : Embedder
    texts : sequence of str
        At least 12 different ones.
    pairs : sequence of (str, str, float)
        Pairs of texts with what people say of their similarity; none, or at least three.

    Returns
    -------
    Fidelity

    Raises
    ------
    InvalidArgument
    """
    distinct = check_comparison(texts, pairs)
    old, new = _embed(before, distinct), _embed(after, distinct)
    cosines = np.einsum("ij,ij->i", old, new)
    was, now = old @ old.T, new @ new.T
    upper = np.triu_indices(len(distinct), 1)
    count = min(_NEIGHBOURS, len(distinct) - 1)
    overlap = float(np.mean([len(a & b) / count for a, b in zip(_near(was, count), _near(now, count), strict=True)]))
    return Fidelity(
        texts=len(distinct),
        cosine_mean=float(cosines.mean()),
        cosine_min=float(cosines.min()),
        overlap=overlap,
        rank_correlation=compute_spearman(was[upper], now[upper]),
        pairs=len(pairs),
        sts_before=_correlate(before, pairs),
        sts_after=_correlate(after, pairs),
    )


def check_comparison(texts: Sequence[str], pairs: Sequence[tuple[str, str, float]]) -> list[str]:
    """Return the different ones of the texts, if they and the pairs are enough to compare models.

    Raises
    ------
    InvalidArgument
    """
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < FEWEST_TEXTS:
        raise InvalidArgument(
            f"{len(distinct)} different texts are too few to compare models. Give at least {FEWEST_TEXTS}."
        )
    if 0 < len(pairs) < 3:
        raise InvalidArgument(f"{len(pairs)} pairs are too few for a correlation. Give at least 3.")
    return distinct


def _embed(embedder: Embedder, texts: Sequence[str]) -> Float32Array:
    rows = embedder.embed_documents(texts).astype(np.float64)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _near(similarities: Float32Array, count: int) -> list[set[int]]:
    others = similarities.copy()
    np.fill_diagonal(others, -2)
    return [set(row) for row in np.argsort(-others, axis=1, kind="stable")[:, :count].tolist()]


def _correlate(embedder: Embedder, pairs: Sequence[tuple[str, str, float]]) -> float | None:
    if not pairs:
        return None
    left, right = _embed(embedder, [a for a, _, _ in pairs]), _embed(embedder, [b for _, b, _ in pairs])
    return compute_spearman(np.einsum("ij,ij->i", left, right), [score for _, _, score in pairs])
