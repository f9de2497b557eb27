"""How good vectors, searches and indexes are: every figure with its baseline and the number of cases it rests on.

Functions take arrays, or a store, which they use through its public methods. Where scikit-learn does the work, it takes
the extra ``evaluation``. Everything random has a seed, and the same seed gives the same figures.

>>> from vecstore.evaluation import evaluate_rankings
>>> quality = evaluate_rankings({"q": ["a", "b", "c"]}, {"q": {"a": 1, "c": 1}}, k=3, size=10)
>>> [(figure.name, round(figure.value, 3), round(figure.baseline, 3)) for figure in quality.figures[:2]]
[('nDCG@3', 0.92, 0.261), ('MRR@3', 1.0, 0.341)]
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clustering import Clusters, find_clusters
    from .drift import AxisDrift, Drift, measure_drift, project_on_axes
    from .figures import Figure, compute_auc
    from .health import Duplicates, Health, estimate_dimension, find_duplicates, measure_health
    from .labels import measure_neighbours
    from .nearest import find_nearest
    from .outliers import Outliers, find_outliers, measure_detection, measure_isolation
    from .probing import probe_labels, probe_numbers
    from .ranking import RankingQuality, compare_rankings, evaluate_rankings, evaluate_search, order_scores
    from .sampling import Sample, draw_sample
    from .similarity import (
        Analogies,
        compute_pearson,
        compute_spearman,
        correlate,
        measure_overlap,
        solve_analogies,
    )
    from .sweep import Sweep, SweepStep, sweep_recall

__all__ = [
    "Analogies",
    "AxisDrift",
    "Clusters",
    "Drift",
    "Duplicates",
    "Figure",
    "Health",
    "Outliers",
    "RankingQuality",
    "Sample",
    "Sweep",
    "SweepStep",
    "compare_rankings",
    "compute_auc",
    "compute_pearson",
    "compute_spearman",
    "correlate",
    "draw_sample",
    "estimate_dimension",
    "evaluate_rankings",
    "evaluate_search",
    "find_clusters",
    "find_duplicates",
    "find_nearest",
    "find_outliers",
    "measure_detection",
    "measure_drift",
    "measure_health",
    "measure_isolation",
    "measure_neighbours",
    "measure_overlap",
    "order_scores",
    "probe_labels",
    "probe_numbers",
    "project_on_axes",
    "solve_analogies",
    "sweep_recall",
]

_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "Analogies": "similarity",
        "AxisDrift": "drift",
        "Clusters": "clustering",
        "Drift": "drift",
        "Duplicates": "health",
        "Figure": "figures",
        "Health": "health",
        "Outliers": "outliers",
        "RankingQuality": "ranking",
        "Sample": "sampling",
        "Sweep": "sweep",
        "SweepStep": "sweep",
        "compare_rankings": "ranking",
        "compute_auc": "figures",
        "compute_pearson": "similarity",
        "compute_spearman": "similarity",
        "correlate": "similarity",
        "draw_sample": "sampling",
        "estimate_dimension": "health",
        "evaluate_rankings": "ranking",
        "evaluate_search": "ranking",
        "find_clusters": "clustering",
        "find_duplicates": "health",
        "find_nearest": "nearest",
        "find_outliers": "outliers",
        "measure_detection": "outliers",
        "measure_drift": "drift",
        "measure_health": "health",
        "measure_isolation": "outliers",
        "measure_neighbours": "labels",
        "measure_overlap": "similarity",
        "order_scores": "ranking",
        "probe_labels": "probing",
        "probe_numbers": "probing",
        "project_on_axes": "drift",
        "solve_analogies": "similarity",
        "sweep_recall": "sweep",
    }
)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
